import assert from 'node:assert/strict';
import { sealDocument } from '../../protocol/documents.ts';
import { isPrefmeshError } from '../../protocol/errors.ts';
import type { ParticipantId } from '../../protocol/identity.ts';
import { inviteSchema, openInvite, parseInviteText, signInvite } from '../../protocol/invite.ts';
import type { OpenedManifest } from '../../protocol/manifest.ts';
import { checkJoin, checkPairs } from '../../protocol/membership.ts';
import type { JoinRequest } from '../../protocol/membership.ts';
import { aggregator, exampleFederation, hashOf, NOW, owner, participants, stranger } from './exampleFederation.ts';
import { assertRefused } from './refusal.ts';

const [ann, ben] = participants.map(({ id }) => id) as [ParticipantId, ParticipantId];
const serial = 'ab'.repeat(16);
const byInvite = exampleFederation({ admission: { mode: 'invite' } });
const terms = { federation: byInvite.hash, serial, issuedAt: NOW, expiresAt: NOW + 1_000 };
const invite = parseInviteText(signInvite(owner, terms));

function join(
  federation: OpenedManifest,
  changes: Partial<JoinRequest> = {},
  users: Record<string, ParticipantId> = {},
) {
  const request: JoinRequest = { sender: ann, invite: null, pairsBucket: 64, ...changes };
  return checkJoin(request, { federation, now: NOW, usedBy: (used) => users[used] });
}

describe('joining', () => {
  it('needs nothing but pairs in an open federation', () => {
    assert.equal(join(exampleFederation()), null);
    assertRefused(() => join(exampleFederation(), { pairsBucket: 4 }), 'TOO_FEW_PAIRS');
  });

  it('needs a place on the allow-list where there is one', () => {
    const federation = exampleFederation({ admission: { mode: 'allow-list', participants: [ann] } });
    assert.equal(join(federation), null);
    assertRefused(() => join(federation, { sender: ben }), 'NOT_ADMITTED');
  });

  it('needs an invite where the manifest asks for one', () => {
    assert.equal(join(byInvite, { invite })?.content.serial, serial);
    assertRefused(() => join(byInvite), 'INVITE_MISSING');
  });

  it('binds an invite to the first key that used it', () => {
    const users = { [serial]: ann };
    assert.equal(join(byInvite, { invite }, users)?.content.serial, serial);
    assertRefused(() => join(byInvite, { invite, sender: ben }, users), 'INVITE_USED');
  });

  it('asks for the minimum of pairs as far as a power of two can tell', () => {
    checkPairs(64, 100);
    checkPairs(64, 127);
    assertRefused(() => checkPairs(64, 128), 'TOO_FEW_PAIRS');
    assertRefused(() => checkPairs(0, 1), 'TOO_FEW_PAIRS');
  });
});

describe('invite', () => {
  it('may be signed by the owner and the aggregators, and nobody else', () => {
    for (const inviter of [owner, aggregator]) {
      assert.equal(openInvite(parseInviteText(signInvite(inviter, terms)), byInvite, NOW).sender, inviter.id);
    }
    const byStranger = parseInviteText(signInvite(stranger, terms));
    assertRefused(() => openInvite(byStranger, byInvite, NOW), 'INVITE_NOT_VALID');
    const inAnotherName = { ...terms, inviter: owner.id, maxUses: 1 as const };
    const { bytes } = sealDocument(aggregator, 'invite', inviteSchema, inAnotherName);
    assertRefused(() => openInvite(bytes, byInvite, NOW), 'INVITE_NOT_VALID');
  });

  it('counts until it expires', () => {
    openInvite(invite, byInvite, NOW + 1_000);
    assertRefused(() => openInvite(invite, byInvite, NOW + 1_001), 'INVITE_EXPIRED');
  });

  it('counts for its own federation only', () => {
    const other = parseInviteText(signInvite(owner, { ...terms, federation: hashOf('another') }));
    assertRefused(() => openInvite(other, byInvite, NOW), 'WRONG_FEDERATION');
  });

  it('is one line of text that survives being copied with spaces around it', () => {
    const text = signInvite(owner, terms);
    assert.match(text, /^prefmesh-invite-1\.[A-Za-z0-9_-]+$/);
    assert.deepEqual(parseInviteText(`  ${text}\n`), invite);
  });

  it('is refused as text that is no invite, was cut short, or was changed', () => {
    const text = signInvite(owner, terms);
    for (const wrong of [
      '',
      'hello',
      'prefmesh-invite-1.',
      'prefmesh-invite-1.a b',
      `prefmesh-invite-1.${'a'.repeat(1e6)}`,
    ]) {
      assertRefused(() => parseInviteText(wrong), 'MALFORMED');
    }
    assertRefused(() => openInvite(parseInviteText(text.slice(0, -4)), byInvite, NOW), 'MALFORMED');
    const body = text.length - 100;
    const changed = text.slice(0, body) + (text[body] === 'A' ? 'B' : 'A') + text.slice(body + 1);
    assert.throws(
      () => openInvite(parseInviteText(changed), byInvite, NOW),
      (error) => isPrefmeshError(error),
    );
  });
});
