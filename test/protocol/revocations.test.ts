import assert from 'node:assert/strict';
import type { ErrorCode } from '../../protocol/errors.ts';
import type { Identity, ParticipantId } from '../../protocol/identity.ts';
import { continuedFrom } from '../../protocol/continuation.ts';
import { roundNumber } from '../../protocol/names.ts';
import { inputsRoot, openReceipt, receiptOf, signReceipt } from '../../protocol/receipt.ts';
import type { OpenedReceipt, Receipt } from '../../protocol/receipt.ts';
import { checkLater, openRevocations, signRevocations } from '../../protocol/revocations.ts';
import type { OpenedRevocations, Revocations } from '../../protocol/revocations.ts';
import { step } from '../../protocol/round.ts';
import { factorOfRound, initialState } from '../../protocol/roundState.ts';
import type { FederationState, RoundEvent } from '../../protocol/roundState.ts';
import { verifyReceipt } from '../../protocol/verification.ts';
import {
  aggregator,
  exampleFederation,
  exampleManifest,
  hashOf,
  NOW,
  owner,
  participants,
  stranger,
} from './exampleFederation.ts';
import { assertRefused } from './refusal.ts';

const federation = exampleFederation();
const [ann, ben, cid, dan] = participants.map(({ id }) => id) as [
  ParticipantId,
  ParticipantId,
  ParticipantId,
  ParticipantId,
];
const HOUR = 3_600_000;

function list(
  version: number,
  keys: ParticipantId[],
  changes: Partial<Revocations> = {},
  signer: Identity = owner,
): OpenedRevocations {
  const content = { federation: federation.hash, version, issuedAt: NOW, participants: keys.toSorted(), invites: [] };
  return openRevocations(signRevocations(signer, { ...content, ...changes }).bytes, federation);
}

const after = (state: FederationState, ...events: RoundEvent[]): FederationState =>
  events.reduce((before, event) => step(before, event).state, state);

const revoked = ({ hash, content }: OpenedRevocations, at = NOW): RoundEvent => {
  return { type: 'revoked', at, list: hash, participants: content.participants };
};

function offer(state: FederationState, sender: ParticipantId): RoundEvent {
  const blob = hashOf(`update of ${sender}`);
  const envelope = hashOf(`message of ${sender}`);
  const { round, parent } = state;
  const factor = factorOfRound(state);
  const offered = { sender, envelope, blob, bytes: 100, pairsBucket: 64, round, factor, parent };
  return { type: 'update-accepted', at: NOW + 1, offer: offered };
}

/** A round that trains, with everybody in its cohort. */
function training(): FederationState {
  const joins = participants.map(({ id }): RoundEvent => {
    return { type: 'joined', at: NOW, participant: id, request: hashOf(`join of ${id}`) };
  });
  const state = after(initialState(exampleManifest(), NOW), ...joins);
  assert.equal(state.phase, 'training');
  return state;
}

const collected = (state: FederationState, ...senders: ParticipantId[]) =>
  after(state, ...senders.map((sender) => offer(state, sender)));

describe('a list of revocations', () => {
  it('is signed by the owner, for its federation', () => {
    assert.deepEqual(list(1, [ann]).content.participants, [ann]);
    assertRefused(() => list(1, [ann], {}, aggregator), 'WRONG_OWNER');
    assertRefused(() => list(1, [ann], {}, stranger), 'WRONG_OWNER');
    assertRefused(() => list(1, [ann], { federation: hashOf('another') }), 'WRONG_FEDERATION');
    const bytes = Uint8Array.from(list(1, [ann]).bytes);
    bytes[bytes.length - 1]! ^= 1;
    assertRefused(() => openRevocations(bytes, federation), 'BAD_SIGNATURE');
  });

  it('names each key once, in order, and no more than fit a message', () => {
    assertRefused(() => list(1, [], { participants: [ann, ann] }), 'MALFORMED');
    assertRefused(() => list(1, [], { participants: [ann, ben].sort().reverse() }), 'MALFORMED');
    const serials = Array.from({ length: 513 }, (_, n) => n.toString(16).padStart(32, '0'));
    assertRefused(() => list(1, [], { invites: serials }), 'MALFORMED');
    list(1, [], { invites: serials.slice(1) });
  });

  it('only grows: an older one, and one that leaves somebody out, are refused', () => {
    const first = list(1, [ann]);
    const second = list(2, [ann, ben]);
    checkLater(null, first);
    checkLater(first, first);
    checkLater(first, second);
    checkLater(first, list(7, [ann, cid]));
    for (const stale of [first, list(2, [ann, ben], { issuedAt: NOW + 1 }), list(3, [ben]), list(3, [])]) {
      assertRefused(() => checkLater(second, stale), 'REVOCATIONS_STALE');
    }
    const withInvite = list(2, [ann], { invites: ['ab'.repeat(16)] });
    assertRefused(() => checkLater(withInvite, list(3, [ann])), 'REVOCATIONS_STALE');
  });
});

describe('a revoked key', () => {
  it('is a member no more, and what it has sent to an open round is not counted', () => {
    const state = after(collected(training(), ann, ben), revoked(list(1, [ann])));
    assert.ok(state.phase === 'collecting');
    assert.equal(state.members[ann], undefined);
    assert.deepEqual(
      state.accepted.map(({ sender }) => sender),
      [ben],
    );
    assert.deepEqual(
      state.refused.map(({ sender, code }) => [sender, code]),
      [[ann, 'KEY_REVOKED']],
    );
  });

  it('is refused by its code when it offers an update or joins again', () => {
    const state = after(training(), revoked(list(1, [ann])));
    const answers = (event: RoundEvent) =>
      step(state, event).effects.flatMap((effect) => (effect.type === 'answer' ? [effect.code] : []));
    assert.deepEqual(answers(offer(state, ann)), ['KEY_REVOKED']);
    assert.deepEqual(answers({ type: 'joined', at: NOW, participant: ann, request: hashOf('again') }), ['KEY_REVOKED']);
    assert.deepEqual(answers(offer(state, ben)), [null]);
  });

  it('is not waited for', () => {
    const state = after(collected(training(), ben, cid, dan), revoked(list(1, [ann])));
    assert.equal(state.phase, 'aggregating');
  });

  it('leaves a round that is closed as it was', () => {
    const closed = collected(training(), ann, ben, cid, dan);
    assert.ok(closed.phase === 'aggregating');
    const state = after(closed, revoked(list(1, [ann])));
    assert.ok(state.phase === 'aggregating');
    assert.deepEqual(state.accepted, closed.accepted);
    assert.equal(state.closedUnder, null);
    assert.equal(state.members[ann], undefined);
  });

  it('is in no later round, here or with an aggregator that takes over', () => {
    const first = list(1, [ann]);
    const closed = after(collected(training(), ann, ben, cid, dan), revoked(first));
    const round = roundNumber(1);
    const ended = after(closed, { type: 'aggregation-failed', at: NOW, round });
    assert.ok(ended.phase === 'skipped');
    const receipt = openReceipt(signReceipt(aggregator, receiptOf(ended, federation)).bytes);
    const next = after(ended, { type: 'receipt-signed', at: NOW, round, receipt: receipt.hash });
    assert.ok(next.phase === 'training');
    assert.ok(!next.cohort.includes(ann) && next.cohort.includes(ben));
    const other = continuedFrom(after(initialState(exampleManifest(), NOW), revoked(first)), receipt, NOW);
    assert.deepEqual(Object.keys(other.members).sort(), [ben, cid, dan].sort());
  });

  it('changes nothing when its list comes twice', () => {
    const once = after(training(), revoked(list(1, [ann])));
    assert.equal(after(once, revoked(list(1, [ann]))), once);
  });
});

describe('a receipt under a list of revocations', () => {
  /** A skipped round's receipt, after another one. */
  function receipts(first: OpenedRevocations | null, second: OpenedRevocations | null): [OpenedReceipt, Receipt] {
    const end = (state: FederationState, under: OpenedRevocations | null): FederationState => {
      const closed = after(under ? after(state, revoked(under)) : state, { type: 'tick', at: NOW + 100 * HOUR });
      assert.ok(closed.phase === 'skipped', closed.phase);
      return closed;
    };
    const one = end(collected(training(), ann), first);
    assert.ok(one.phase === 'skipped');
    const opened = openReceipt(signReceipt(aggregator, receiptOf(one, federation)).bytes);
    const round = roundNumber(1);
    const next = after(one, { type: 'receipt-signed', at: NOW, round, receipt: opened.hash });
    const two = end(collected(next, ben), second);
    assert.ok(two.phase === 'skipped');
    return [opened, receiptOf(two, federation)];
  }

  const first = list(1, [ann]);
  const second = list(2, [ann, dan]);
  const lists = new Map([first, second, list(3, [dan])].map(({ hash, bytes }) => [hash, bytes]));

  function failuresOf(
    previous: OpenedReceipt | null,
    receipt: Receipt,
    newest: OpenedRevocations | null = null,
  ): ErrorCode[] {
    const rooted = { ...receipt, inputsRoot: inputsRoot(receipt.updates) };
    const context = { federation, previous, newest, revocations: (hash: string) => lists.get(hash as never) };
    return verifyReceipt(signReceipt(aggregator, rooted).bytes, context).failures.map(({ code }) => code);
  }

  it('names the list that its round was closed under, and verifies with it', () => {
    const [one, two] = receipts(first, second);
    assert.equal(one.content.revocations, first.hash);
    assert.equal(two.revocations, second.hash);
    assert.deepEqual(failuresOf(null, one.content), []);
    assert.deepEqual(failuresOf(one, two), []);
  });

  it('stays right after a later revocation', () => {
    const [one] = receipts(null, first);
    assert.equal(one.content.updates[0]?.sender, ann);
    assert.deepEqual(failuresOf(null, one.content), []);
  });

  it('is wrong where a revoked key counts, or is asked', () => {
    const [one, two] = receipts(first, second);
    const counted = one.content.updates.map((update) => ({ ...update, verdict: 'accepted' as const, code: null }));
    assert.deepEqual(failuresOf(null, { ...one.content, updates: counted }), ['REVOKED_COUNTED']);
    const asked = { ...two, cohort: [...two.cohort, ann].sort() };
    assert.deepEqual(failuresOf(one, asked), ['REVOKED_COUNTED']);
  });

  it('is wrong where it refuses as revoked who was not', () => {
    const [one] = receipts(first, null);
    assert.deepEqual(failuresOf(null, { ...one.content, revocations: null }), ['RECEIPT_TERMS']);
  });

  it('is wrong where its list is older than that of the round before, or leaves somebody out', () => {
    const [one, two] = receipts(second, null);
    for (const revocations of [null, first.hash, list(3, [dan]).hash]) {
      assert.deepEqual(failuresOf(one, { ...two, revocations }), ['REVOCATIONS_STALE'], String(revocations));
    }
  });

  it('is wrong where nobody has its list', () => {
    const [one] = receipts(first, null);
    assert.deepEqual(failuresOf(null, { ...one.content, revocations: hashOf('no list') }), ['REVOCATIONS_MISSING']);
  });

  it('is wrong where its round began long after a newer list that the verifier holds', () => {
    const [one] = receipts(first, null);
    const { startedAt } = one.content;
    const newer = (issuedAt: number) => list(2, [ann, dan], { issuedAt });
    assert.deepEqual(failuresOf(null, one.content, newer(startedAt - HOUR)), []);
    assert.deepEqual(failuresOf(null, one.content, newer(startedAt - HOUR - 1)), ['REVOCATIONS_IGNORED']);
    assert.deepEqual(failuresOf(null, one.content, first), []);
  });
});
