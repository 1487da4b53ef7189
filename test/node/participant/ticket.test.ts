import assert from 'node:assert/strict';
import fc from 'fast-check';
import { isTicketText, parseTicket, ticketText } from '../../../node/participant/ticket.ts';
import { isPrefmeshError } from '../../../protocol/errors.ts';
import { hashOf } from '../../protocol/exampleFederation.ts';

const ticket = fc.record({
  federation: fc.string().map(hashOf),
  addresses: fc.array(fc.string({ minLength: 1, maxLength: 80 }), { maxLength: 4 }),
  invite: fc.option(fc.uint8Array({ maxLength: 400 })),
});

describe('a ticket', () => {
  it('is one line of text that gives back what it was made of', () => {
    fc.assert(
      fc.property(ticket, (made) => {
        const text = ticketText(made);
        assert.match(text, /^prefmesh:[A-Za-z0-9_-]+$/);
        const read = parseTicket(`  ${text}\n`);
        assert.deepEqual([read.federation, read.addresses], [made.federation, made.addresses]);
        assert.deepEqual(read.invite && [...read.invite], made.invite && [...made.invite]);
      }),
    );
  });

  it('is refused by its code when anything of it is lost', () => {
    const text = ticketText({ federation: hashOf('f'), addresses: ['/ip4/127.0.0.1/tcp/1'], invite: null });
    for (let length = 'prefmesh:'.length; length < text.length; length++) {
      assert.throws(
        () => parseTicket(text.slice(0, length)),
        (error) => isPrefmeshError(error, 'TICKET_INVALID'),
      );
    }
    assert.equal(isTicketText('our-notes.federation'), false);
  });
});
