import assert from 'node:assert/strict';
import { sealDocument } from '../../protocol/documents.ts';
import { isPrefmeshError } from '../../protocol/errors.ts';
import type { ParticipantId } from '../../protocol/identity.ts';
import { inviteSchema, openInvite, parseInviteText, signInvite } from '../../protocol/invite.ts';
import type { OpenedManifest } from '../../protocol/manifest.ts';
import { checkJoin, checkPairs, guestsOf } from '../../protocol/membership.ts';
import type { JoinContext, JoinRequest } from '../../protocol/membership.ts';
import { aggregator, exampleFederation, hashOf, NOW, owner, participants, stranger } from './exampleFederation.ts';
import { assertRefused } from './refusal.ts';
import { openRevocations, signRevocations } from '../../protocol/revocations.ts';
import { identityFromSeed } from '../../protocol/identity.ts';
import type { Identity } from '../../protocol/identity.ts';

const [ann, ben] = participants.map(({ id }) => id) as [ParticipantId, ParticipantId];
const serial = 'ab'.repeat(16);
const byInvite = exampleFederation({ admission: { mode: 'invite', inviters: 'aggregators', guestsPerInviter: 5 } });
const terms = { federation: byInvite.hash, serial, issuedAt: NOW, expiresAt: NOW + 1_000 };
const invite = parseInviteText(signInvite(owner, terms));

const byMembers = exampleFederation({ admission: { mode: 'invite', inviters: 'members', guestsPerInviter: 5 } });

function join(
  federation: OpenedManifest,
  changes: Partial<JoinRequest> = {},
  users: Record<string, ParticipantId> = {},
  context: Partial<JoinContext> = {},
) {
  const request: JoinRequest = { sender: ann, invite: null, pairsBucket: 64, ...changes };
  return checkJoin(request, {
    federation,
    now: NOW,
    revocations: null,
    members: [],
    usedBy: (used) => users[used],
    inviterOf: () => undefined,
    ...context,
  });
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
      assert.equal(openInvite(parseInviteText(signInvite(inviter, terms)), byInvite).sender, inviter.id);
    }
    const byStranger = parseInviteText(signInvite(stranger, terms));
    assertRefused(() => openInvite(byStranger, byInvite), 'INVITE_NOT_VALID');
    const inAnotherName = { ...terms, inviter: owner.id, maxUses: 1 as const };
    const { bytes } = sealDocument(aggregator, 'invite', inviteSchema, inAnotherName);
    assertRefused(() => openInvite(bytes, byInvite), 'INVITE_NOT_VALID');
  });

  it('may be signed by members where the manifest says so', () => {
    const byMember = parseInviteText(signInvite(participants[0]!, { ...terms, federation: byMembers.hash }));
    assert.equal(openInvite(byMember, byMembers).sender, ann);
    assert.equal(join(byMembers, { sender: ben, invite: byMember }, {}, { members: [ann] })?.sender, ann);
    assertRefused(() => join(byMembers, { sender: ben, invite: byMember }), 'INVITE_NOT_VALID');
  });

  it('counts until it expires, and for who has used it also after that', () => {
    join(byInvite, { invite }, {}, { now: NOW + 1_000 });
    assertRefused(() => join(byInvite, { invite }, {}, { now: NOW + 1_001 }), 'INVITE_EXPIRED');
    assert.ok(join(byInvite, { invite }, { [serial]: ann }, { now: NOW + 1_001 }));
  });

  it('is not good for longer than 14 days', () => {
    const life = 14 * 86_400_000;
    signInvite(owner, { ...terms, expiresAt: NOW + life });
    assertRefused(() => signInvite(owner, { ...terms, expiresAt: NOW + life + 1 }), 'MALFORMED');
    assertRefused(() => signInvite(owner, { ...terms, expiresAt: NOW }), 'MALFORMED');
  });

  it('counts for its own federation only', () => {
    const other = parseInviteText(signInvite(owner, { ...terms, federation: hashOf('another') }));
    assertRefused(() => openInvite(other, byInvite), 'WRONG_FEDERATION');
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
    assertRefused(() => openInvite(parseInviteText(text.slice(0, -4)), byInvite), 'MALFORMED');
    const body = text.length - 100;
    const changed = text.slice(0, body) + (text[body] === 'A' ? 'B' : 'A') + text.slice(body + 1);
    assert.throws(
      () => openInvite(parseInviteText(changed), byInvite),
      (error) => isPrefmeshError(error),
    );
  });
});

describe('an inviter', () => {
  const federation = byMembers;
  const keys = (name: string, count: number): Identity[] =>
    Array.from({ length: count }, (_, n) => identityFromSeed(Buffer.from(hashOf(`${name} ${n}`), 'hex')));
  let serials = 0;
  const inviteOf = (inviter: Identity): Uint8Array => {
    const number = (serials++).toString(16).padStart(32, '0');
    return parseInviteText(signInvite(inviter, { ...terms, federation: federation.hash, serial: number }));
  };

  /** A door that remembers who came in by which invite. */
  class Door {
    readonly members: ParticipantId[] = [];
    readonly users: Record<string, ParticipantId> = {};
    readonly inviters = new Map<ParticipantId, ParticipantId>();

    let(sender: ParticipantId, shown: Uint8Array): void {
      const context = { members: this.members, inviterOf: (guest: ParticipantId) => this.inviters.get(guest) };
      const used = join(federation, { sender, invite: shown }, this.users, context);
      if (used !== null) {
        this.users[used.content.serial] = sender;
        this.inviters.set(sender, used.sender);
      }
      if (!this.members.includes(sender)) this.members.push(sender);
    }
  }

  it('brings in no more than the manifest says, however its guests invite each other', () => {
    for (const shape of ['a star', 'a chain', 'a tree'] as const) {
      const [root] = keys(`root of ${shape}`, 1) as [Identity];
      const sybils = keys(`sybil of ${shape}`, 10);
      const door = new Door();
      door.let(root.id, inviteOf(owner));
      const come = [root];
      const refused: string[] = [];
      for (const [n, sybil] of sybils.entries()) {
        const inviter =
          shape === 'a star' ? root : shape === 'a chain' ? come.at(-1)! : come[Math.floor(n / 2) % come.length]!;
        try {
          door.let(sybil.id, inviteOf(inviter));
          come.push(sybil);
        } catch (error) {
          if (!isPrefmeshError(error)) throw error;
          refused.push(error.code);
        }
      }
      const inTree = guestsOf([root.id], door.members, (guest) => door.inviters.get(guest));
      assert.equal(inTree.length, 5, shape);
      assert.deepEqual(refused, Array<string>(5).fill('INVITER_FULL'), shape);
    }
  });

  it('gets a place back when a guest leaves, and whoever left has none kept', () => {
    const [root, ...guests] = keys('leaving', 7) as [Identity, ...Identity[]];
    const door = new Door();
    door.let(root.id, inviteOf(owner));
    const shown = guests.map(() => inviteOf(root));
    for (const [n, { id }] of guests.slice(0, 5).entries()) door.let(id, shown[n]!);
    assertRefused(() => door.let(guests[5]!.id, shown[5]!), 'INVITER_FULL');
    door.let(guests[0]!.id, shown[0]!); // a member that only comes back is no other one
    door.members.splice(door.members.indexOf(guests[0]!.id), 1);
    door.let(guests[5]!.id, shown[5]!);
    assertRefused(() => door.let(guests[0]!.id, shown[0]!), 'INVITER_FULL');
  });

  it('stays answerable for a guest that shows the invite of another', () => {
    const [one, two, guest] = keys('another', 3) as [Identity, Identity, Identity];
    const door = new Door();
    for (const { id } of [one, two]) door.let(id, inviteOf(owner));
    door.let(guest.id, inviteOf(one));
    const other = inviteOf(two);
    door.let(guest.id, other);
    assert.equal(door.inviters.get(guest.id), one.id);
    door.let(keys('who gets it', 1)[0]!.id, other);
  });

  it('does not bind the owner', () => {
    const door = new Door();
    for (const { id } of keys('guest of the owner', 12)) door.let(id, inviteOf(owner));
    assert.equal(door.members.length, 12);
  });

  it('that was revoked brings in nobody, nor does an invite that was called back', () => {
    const list = (participants_: ParticipantId[], invites: string[]) => {
      const content = { federation: federation.hash, version: 1, issuedAt: NOW, participants: participants_, invites };
      return openRevocations(signRevocations(owner, content).bytes, federation);
    };
    const shown = inviteOf(participants[0]!);
    const called = openInvite(shown, federation).content.serial;
    for (const revocations of [list([ann], []), list([], [called])]) {
      const context = { revocations, members: [ann] };
      assertRefused(() => join(federation, { sender: ben, invite: shown }, {}, context), 'INVITE_REVOKED');
    }
    // Who came in by it before stays: it is revoked by its own key.
    assert.ok(
      join(
        federation,
        { sender: ben, invite: shown },
        { [called]: ben },
        { revocations: list([], [called]), members: [ann] },
      ),
    );
    const gone = { revocations: list([ben], []), members: [ann] };
    assertRefused(() => join(federation, { sender: ben, invite: shown }, { [called]: ben }, gone), 'KEY_REVOKED');
    assertRefused(() => join(exampleFederation(), { sender: ben }, {}, gone), 'KEY_REVOKED');
  });
});
