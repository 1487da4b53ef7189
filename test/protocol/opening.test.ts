import assert from 'node:assert/strict';
import fc from 'fast-check';
import { encode } from '../../protocol/codec.ts';
import { decodeEnvelope, envelopeHash, lengthPrefixed, sealEnvelope } from '../../protocol/envelope.ts';
import type { Envelope } from '../../protocol/envelope.ts';
import { isPrefmeshError } from '../../protocol/errors.ts';
import { LIMITS } from '../../protocol/limits.ts';
import { MESSAGES, pairsBucket } from '../../protocol/messages.ts';
import type { MessageType } from '../../protocol/messages.ts';
import { roundNumber, sha256 } from '../../protocol/names.ts';
import { openEnvelope, sealMessage } from '../../protocol/opening.ts';
import type { Expectations } from '../../protocol/opening.ts';
import { ReplayWindow } from '../../protocol/replay.ts';
import {
  aggregator,
  exampleFederation,
  exampleUpdate,
  hashOf,
  header,
  NOW,
  participants,
  stranger,
  updateMessage,
} from './exampleFederation.ts';
import { mutate, randomBytes, seededIntegers } from './randomInputs.ts';
import { assertRefused } from './refusal.ts';

const [ann, ben] = participants as [(typeof participants)[0], (typeof participants)[0]];
const federation = exampleFederation();
const members = new Set(participants.map(({ id }) => id));

/** What an aggregator expects of a participant. */
function expecting<Type extends MessageType>(
  types: readonly Type[],
  changes: Partial<Expectations<Type>> = {},
): Expectations<Type> {
  return {
    types,
    federation: federation.hash,
    recipient: aggregator.id,
    isMember: (sender) => members.has(sender),
    ...changes,
  };
}

const update = exampleUpdate(0.25);
const sealed = updateMessage(ann, update);
const openUpdate = (bytes: Uint8Array, now = NOW, changes: Partial<Expectations<'update'>> = {}) =>
  openEnvelope(bytes, expecting(['update'], changes), now, new ReplayWindow());

/** The sealed update with one field of its envelope replaced. */
function tampered(changes: Partial<Envelope>): Uint8Array {
  const { type, sender, payload, signature } = { ...decodeEnvelope(sealed.bytes, LIMITS.message.value), ...changes };
  return encode({ type, sender, payload, signature });
}

describe('opening an envelope', () => {
  it('gives what was sealed', () => {
    const opened = openUpdate(sealed.bytes);
    assert.equal(opened.type, 'update');
    assert.equal(opened.sender, ann.id);
    assert.equal(opened.hash, sealed.hash);
    assert.equal(opened.payload.pairsBucket, 64);
  });

  it('refuses more bytes than a message may have', () => {
    const payload = new Uint8Array(LIMITS.message.value);
    assertRefused(() => openUpdate(sealEnvelope(ann, 'update', payload).bytes), 'OVERSIZED');
  });

  it('refuses bytes that are no envelope', () => {
    assertRefused(() => openUpdate(Buffer.from('no envelope')), 'MALFORMED');
    assertRefused(() => openUpdate(sealed.bytes.subarray(1)), 'MALFORMED');
    assertRefused(() => openUpdate(tampered({ signature: new Uint8Array(63) })), 'MALFORMED');
  });

  it('refuses a payload that lacks a field, has one more, or one of another kind', () => {
    const { payload } = openUpdate(sealed.bytes);
    const { blob: _, ...withoutBlob } = payload;
    const variants = [
      withoutBlob,
      { ...payload, extra: 1 },
      { ...payload, bytes: '100' },
      { ...payload, pairsBucket: 65 },
      { ...payload, round: -1 },
      { ...payload, nonce: payload.nonce.toUpperCase() },
    ];
    for (const variant of variants) {
      assertRefused(() => openUpdate(sealEnvelope(ann, 'update', encode(variant)).bytes), 'MALFORMED');
    }
  });

  it('refuses a type that is not expected, known or not', () => {
    const leave = sealMessage(ann, 'leave', { ...header(), recipient: aggregator.id });
    assertRefused(() => openUpdate(leave.bytes), 'UNEXPECTED_TYPE');
    assertRefused(() => openUpdate(sealEnvelope(ann, 'constructor', encode({})).bytes), 'UNEXPECTED_TYPE');
  });

  it('refuses another federation', () => {
    const other = updateMessage(ann, update, { federation: hashOf('another federation') });
    assertRefused(() => openUpdate(other.bytes), 'WRONG_FEDERATION');
  });

  it('refuses what is meant for another recipient', () => {
    assertRefused(() => openUpdate(updateMessage(ann, update, { recipient: ben.id }).bytes), 'WRONG_RECIPIENT');
  });

  it('refuses a reply to another request, and a reply where a request is due', () => {
    const request = hashOf('my request');
    const reply = sealMessage(aggregator, 'joined', {
      ...header(),
      recipient: ann.id,
      request: hashOf('an older one'),
    });
    const open = (expected?: typeof request) =>
      openEnvelope(
        reply.bytes,
        expecting(['joined'], { recipient: ann.id, isMember: () => true, ...(expected && { request: expected }) }),
        NOW,
        new ReplayWindow(),
      );
    assertRefused(() => open(request), 'WRONG_REQUEST');
    assertRefused(() => open(), 'WRONG_REQUEST');
    assert.equal(open(hashOf('an older one')).sender, aggregator.id);
  });

  it('refuses a sender who is not admitted', () => {
    assertRefused(() => openUpdate(updateMessage(stranger, update).bytes), 'NOT_ADMITTED');
  });

  it('refuses another round where only one will do', () => {
    assertRefused(() => openUpdate(sealed.bytes, NOW, { round: roundNumber(2) }), 'WRONG_ROUND');
    assert.equal(openUpdate(sealed.bytes, NOW, { round: roundNumber(1) }).payload.round, 1);
  });

  it('refuses what has expired or is not valid yet, beyond the tolerance between clocks', () => {
    const tolerance = LIMITS.clockTolerance.value;
    openUpdate(sealed.bytes, NOW + 60_000 + tolerance);
    assertRefused(() => openUpdate(sealed.bytes, NOW + 60_000 + tolerance + 1), 'EXPIRED');
    openUpdate(sealed.bytes, NOW - tolerance);
    assertRefused(() => openUpdate(sealed.bytes, NOW - tolerance - 1), 'NOT_YET_VALID');
  });

  it('refuses a message that would count for ever, or never', () => {
    const longest = NOW + LIMITS.messageLifetime.value;
    openUpdate(updateMessage(ann, update, { expiresAt: longest }).bytes);
    assertRefused(() => openUpdate(updateMessage(ann, update, { expiresAt: longest + 1 }).bytes), 'MALFORMED');
    assertRefused(() => openUpdate(updateMessage(ann, update, { expiresAt: NOW }).bytes), 'MALFORMED');
  });

  it('refuses a message that was taken before', () => {
    const replay = new ReplayWindow();
    openEnvelope(sealed.bytes, expecting(['update']), NOW, replay);
    assertRefused(() => openEnvelope(sealed.bytes, expecting(['update']), NOW, replay), 'REPLAYED');
  });

  it('does not let a forged message use up the number of a real one', () => {
    const replay = new ReplayWindow();
    const forged = tampered({ signature: new Uint8Array(64) });
    assertRefused(() => openEnvelope(forged, expecting(['update']), NOW, replay), 'BAD_SIGNATURE');
    assert.equal(openEnvelope(sealed.bytes, expecting(['update']), NOW, replay).sender, ann.id);
  });

  it('refuses a signature by another key, for another type, or over another payload', () => {
    assertRefused(() => openUpdate(tampered({ sender: ben.id })), 'BAD_SIGNATURE');
    const { payload } = decodeEnvelope(updateMessage(ann, exampleUpdate(0.5)).bytes, LIMITS.message.value);
    assertRefused(() => openUpdate(tampered({ payload })), 'BAD_SIGNATURE');

    const leave = sealMessage(ann, 'leave', { ...header(), recipient: aggregator.id });
    const asQuery = encode({ ...decodeEnvelope(leave.bytes, LIMITS.message.value), type: 'round-query' });
    const open = () => openEnvelope(asQuery, expecting(['round-query']), NOW, new ReplayWindow());
    assertRefused(open, 'BAD_SIGNATURE');
  });

  it('refuses every message of which one bit was flipped', () => {
    for (let at = 0; at < sealed.bytes.length; at++) {
      const bytes = Uint8Array.from(sealed.bytes);
      bytes[at]! ^= 1 << (at % 8);
      assert.throws(
        () => openUpdate(bytes),
        (error) => isPrefmeshError(error),
        `byte ${at}`,
      );
    }
  });

  it('survives 100,000 random inputs', () => {
    const expected = expecting(Object.keys(MESSAGES) as MessageType[], { isMember: () => true });
    const replay = new ReplayWindow();
    const integer = seededIntegers(20_250);
    const signature = new Uint8Array(64);
    const inputs = [
      () => randomBytes(integer, 200),
      () => mutate(integer, sealed.bytes),
      () => encode({ type: 'update', sender: ann.id, payload: randomBytes(integer, 64), signature }),
    ];
    for (let run = 0; run < 100_000; run++) {
      const bytes = inputs[run % inputs.length]!();
      if (Buffer.from(bytes).equals(sealed.bytes)) continue;
      try {
        openEnvelope(bytes, expected, NOW, replay);
      } catch (error) {
        if (isPrefmeshError(error)) continue;
        throw error;
      }
      assert.fail(`input ${run} was taken`);
    }
  }).timeout(300_000);

  it('will not seal a payload that is not of its type', () => {
    const payload = { ...header(), recipient: aggregator.id, round: -1 as never };
    assertRefused(() => sealMessage(ann, 'leave', payload), 'MALFORMED');
  });
});

describe('envelope', () => {
  it('goes by a name that does not depend on its signature', () => {
    const envelope = decodeEnvelope(sealed.bytes, LIMITS.message.value);
    assert.equal(envelopeHash({ ...envelope, signature: new Uint8Array(64) }), sealed.hash);
    assert.notEqual(envelopeHash({ ...envelope, sender: ben.id }), sealed.hash);
    assert.notEqual(envelopeHash({ ...envelope, type: 'leave' }), sealed.hash);
  });

  it('signs parts that cannot be shifted into one another', () => {
    const parts = fc.array(fc.uint8Array({ maxLength: 300 }), { maxLength: 4 });
    fc.assert(
      fc.property(parts, parts, (a, b) => {
        const same = a.length === b.length && a.every((part, i) => Buffer.from(part).equals(b[i]!));
        assert.equal(sha256(lengthPrefixed(...a)) === sha256(lengthPrefixed(...b)), same);
      }),
    );
    assert.deepEqual([...lengthPrefixed(new Uint8Array(300)).subarray(0, 3)], [0xac, 0x02, 0]);
  });
});

describe('messages', () => {
  it('tell the number of pairs as a power of two that is not above it', () => {
    assert.deepEqual([0, 1, 2, 3, 4, 63, 64, 1000].map(pairsBucket), [0, 1, 2, 2, 4, 32, 64, 512]);
  });
});
