import assert from 'node:assert/strict';
import fc from 'fast-check';
import type { ParticipantId } from '../../protocol/identity.ts';
import type { Manifest } from '../../protocol/manifest.ts';
import { roundNumber, sha256 } from '../../protocol/names.ts';
import type { Sha256 } from '../../protocol/names.ts';
import { resume, step } from '../../protocol/round.ts';
import { factorOfRound, initialState, nextTick, roundTermsOf } from '../../protocol/roundState.ts';
import type { FederationState, RoundEffect, RoundEvent, UpdateOffer } from '../../protocol/roundState.ts';
import {
  aggregator,
  exampleFigures,
  exampleManifest,
  hashOf,
  initialBlob,
  NOW,
  participants,
} from './exampleFederation.ts';

function cohortOf(state: FederationState): readonly ParticipantId[] {
  return 'cohort' in state ? state.cohort : [];
}

type Id = UpdateOffer['sender'];
const ids = participants.map(({ id }) => id);
const [ann, ben, cid, dan] = ids as [Id, Id, Id, Id];

/** A federation whose events happen one after another; effects are those of the last one. */
class Run {
  #state: FederationState;
  effects: readonly RoundEffect[] = [];

  constructor(changes: Partial<Manifest> = {}) {
    this.#state = initialState(exampleManifest(changes), NOW);
  }

  get state(): FederationState {
    return this.#state;
  }

  /** The state, which must be in one of these phases. */
  in<Phase extends FederationState['phase']>(...phases: Phase[]): Extract<FederationState, { phase: Phase }> {
    assert.ok((phases as string[]).includes(this.#state.phase), `in phase ${this.#state.phase}`);
    return this.#state as Extract<FederationState, { phase: Phase }>;
  }

  after(...events: RoundEvent[]): this {
    for (const event of events) ({ state: this.#state, effects: this.effects } = step(this.#state, event));
    return this;
  }

  /** Types of the last event's effects, with what they are about. */
  get summary(): string[] {
    return this.effects.map((effect) => {
      switch (effect.type) {
        case 'answer':
          return `answer ${effect.code ?? 'accepted'}`;
        case 'announce':
          return `announce ${effect.round} ${effect.phase}`;
        case 'publish':
          return `publish ${effect.ended.phase}`;
        default:
          return effect.type;
      }
    });
  }
}

const joins = (at: number, ...members: Id[]): RoundEvent[] =>
  members.map((participant) => ({ type: 'joined', at, participant, request: hashOf(`join of ${participant}`) }));
const tick = (at: number): RoundEvent => ({ type: 'tick', at });

function update(state: FederationState, at: number, sender: Id, changes: Partial<UpdateOffer> = {}): RoundEvent {
  const offer: UpdateOffer = {
    sender,
    round: state.round,
    factor: factorOfRound(state),
    parent: state.parent,
    envelope: hashOf(`envelope of ${sender} in ${state.round}`),
    blob: hashOf(`blob of ${sender} in ${state.round}`),
    bytes: 100,
    pairsBucket: 64,
    ...changes,
  };
  return { type: 'update-accepted', at, offer };
}

/** Everyone of four joins, so that round 1 starts at NOW. */
const started = (changes: Partial<Manifest> = {}) => new Run(changes).after(...joins(NOW, ...ids));

/** All four have answered. */
function aggregating(changes: Partial<Manifest> = {}): Run {
  const run = started(changes);
  for (const id of ids) run.after(update(run.state, NOW + 10, id));
  return run;
}

const candidate = hashOf('candidate');
const evaluating = (changes: Partial<Manifest> = {}) =>
  aggregating(changes).after({ type: 'aggregated', at: NOW + 20, round: roundNumber(1), candidate });

describe('an open round', () => {
  it('waits for a quorum of members, then for more until the join time is over', () => {
    const run = new Run().after(...joins(NOW, ann));
    assert.equal(nextTick(run.state), null);
    run.after(...joins(NOW + 500, ben));
    assert.equal(nextTick(run.state), NOW + 1_500);
    run.after(tick(NOW + 1_499));
    assert.equal(run.state.phase, 'open');
    run.after(...joins(NOW + 1_499, cid), tick(NOW + 1_500));
    assert.deepEqual(run.summary, ['announce 1 training']);
    assert.deepEqual(cohortOf(run.state), [ann, ben, cid]);
    const { asked, members } = roundTermsOf(run.state, ben);
    assert.deepEqual([asked, members, roundTermsOf(run.state, aggregator.id).asked], [true, 3, false]);
    assert.equal(nextTick(run.state), NOW + 61_500);
  });

  it('starts at once when every place is taken', () => {
    const run = new Run().after(...joins(NOW, ann, ben, cid));
    assert.equal(run.state.phase, 'open');
    run.after(...joins(NOW, dan));
    assert.deepEqual(run.summary, ['answer accepted', 'announce 1 training']);
  });

  it('begins to wait anew when a member leaves before the start', () => {
    const run = new Run().after(...joins(NOW, ann, ben));
    run.after({ type: 'left', at: NOW + 900, participant: ben, request: hashOf('leave') });
    assert.equal(nextTick(run.state), null);
    run.after(...joins(NOW + 2_000, cid), tick(NOW + 2_999));
    assert.equal(run.state.phase, 'open');
    run.after(tick(NOW + 3_000));
    assert.deepEqual(cohortOf(run.state), [ann, cid]);
  });

  it('has no place for more members than the manifest allows, but knows those it has', () => {
    const run = new Run({ maxParticipants: 2 }).after(...joins(NOW, ann, ben, cid));
    assert.deepEqual(run.summary, ['answer FEDERATION_FULL']);
    run.after(...joins(NOW, ann));
    assert.deepEqual(run.summary, ['answer accepted']);
  });
});

describe('a running round', () => {
  it('trains until the first update, collects until the last, then aggregates in the order of the blobs', () => {
    const run = started();
    run.after(update(run.state, NOW + 10, cid));
    assert.deepEqual(run.summary, ['answer accepted', 'announce 1 collecting']);
    run.after(update(run.state, NOW + 11, ann), update(run.state, NOW + 12, dan));
    assert.deepEqual(run.summary, ['answer accepted']);
    run.after(update(run.state, NOW + 13, ben));
    assert.deepEqual(run.summary, ['answer accepted', 'announce 1 aggregating', 'aggregate']);
    const effect = run.effects[2]!;
    assert.ok(effect.type === 'aggregate');
    assert.deepEqual(effect.blobs, ids.map((id) => hashOf(`blob of ${id} in 1`)).sort());
    assert.equal(effect.factor, 'B');
    assert.equal(effect.parent, sha256(initialBlob));
  });

  it('closes at the deadline with whoever answered, if that is a quorum', () => {
    const run = started();
    run.after(update(run.state, NOW + 10, ann), update(run.state, NOW + 11, ben), tick(NOW + 59_999));
    assert.equal(run.state.phase, 'collecting');
    run.after(tick(NOW + 60_000));
    assert.deepEqual(run.summary, ['announce 1 aggregating', 'aggregate']);
  });

  it('is skipped at the deadline when the quorum is missed', () => {
    const run = started();
    run.after(update(run.state, NOW + 10, ann), tick(NOW + 60_000));
    assert.deepEqual(run.summary, ['publish skipped']);
    assert.equal(run.in('skipped').reason, 'QUORUM_MISSED');
  });

  it('does not wait for a member that left, but counts the update that it sent', () => {
    const run = started({ quorum: 3 });
    const leaves = (participant: Id): RoundEvent => ({
      type: 'left',
      at: NOW + 20,
      participant,
      request: hashOf('leave'),
    });
    run.after(update(run.state, NOW + 10, ann), update(run.state, NOW + 11, ben), update(run.state, NOW + 12, cid));
    run.after(leaves(ann));
    run.in('collecting');
    run.after(leaves(dan));
    assert.deepEqual(
      run.in('aggregating').accepted.map(({ sender }) => sender),
      [ann, ben, cid],
    );
  });

  it('answers the same update again, and refuses another', () => {
    const run = started();
    run.after(update(run.state, NOW + 10, ann));
    const before = run.state;
    run.after(update(run.state, NOW + 11, ann, { envelope: hashOf('signed anew') }));
    assert.deepEqual([run.summary, run.state], [['answer accepted'], before]);
    run.after(update(run.state, NOW + 12, ann, { blob: hashOf('another blob') }));
    assert.deepEqual([run.summary, run.state], [['answer DUPLICATE_UPDATE'], before]);
  });

  it('refuses an update that comes with or after the deadline', () => {
    const run = started();
    run.after(update(run.state, NOW + 60_000, ann));
    assert.deepEqual(run.summary, ['answer ROUND_CLOSED']);
  });

  it('takes a new member into the next round, not into the running one', () => {
    const run = new Run().after(...joins(NOW, ann, ben), tick(NOW + 1_000), ...joins(NOW + 1_001, cid));
    assert.deepEqual(run.summary, ['answer accepted']);
    run.after(update(run.state, NOW + 1_002, cid));
    assert.deepEqual(run.summary, ['answer NOT_IN_COHORT']);
  });

  it('notes one refusal a participant, until an update of it is accepted', () => {
    const run = started();
    const refused = (sender: Id, text: string): RoundEvent => {
      const event = update(run.state, NOW + 5, sender, { blob: hashOf(text) });
      assert.ok(event.type === 'update-accepted');
      return { type: 'update-refused', at: NOW + 5, offer: event.offer, code: 'NORM_EXCEEDED' };
    };
    run.after(refused(ann, 'first'), refused(ann, 'second'), refused(ben, 'third'));
    assert.deepEqual(run.summary, ['answer NORM_EXCEEDED']);
    assert.deepEqual(
      run.in('training', 'collecting').refused.map(({ sender, blob }) => [sender, blob]),
      [
        [ann, hashOf('first')],
        [ben, hashOf('third')],
      ],
    );
    run.after(update(run.state, NOW + 6, ann));
    assert.equal(run.state.phase, 'collecting');
    assert.deepEqual(
      run.in('training', 'collecting').refused.map(({ sender }) => sender),
      [ben],
    );
  });
});

describe('a closed round', () => {
  it('aggregates the same, whatever numbers of pairs the senders claim', () => {
    const effects = (claim: number) => {
      const run = started();
      for (const id of ids) run.after(update(run.state, NOW + 10, id, id === ann ? { pairsBucket: claim } : {}));
      return run.effects.filter(({ type }) => type === 'aggregate');
    };
    assert.equal(effects(64).length, 1);
    assert.deepEqual(effects(2 ** 30), effects(64));
  });

  it('is evaluated, and published when the gate lets it pass', () => {
    const run = evaluating();
    assert.deepEqual(run.summary, ['announce 1 evaluating', 'evaluate']);
    run.after({ type: 'evaluated', at: NOW + 30, round: roundNumber(1), candidate, figures: exampleFigures(68, 70) });
    assert.deepEqual(run.summary, ['publish published']);
  });

  it('is skipped when it loses more on the root set than the gate allows', () => {
    const run = evaluating();
    run.after({ type: 'evaluated', at: NOW + 30, round: roundNumber(1), candidate, figures: exampleFigures(67, 70) });
    assert.equal(run.in('skipped').reason, 'GATE_REFUSED');
    assert.equal(run.in('skipped').candidate, candidate);
    run.after({ type: 'receipt-signed', at: NOW + 40, round: roundNumber(1), receipt: hashOf('receipt') });
    assert.equal(run.state.parent, sha256(initialBlob), 'the adapter stays');
  });

  it('is skipped when its sum does not fit, or its adapter cannot be measured', () => {
    const failed = aggregating().after({ type: 'aggregation-failed', at: NOW + 20, round: roundNumber(1) });
    assert.equal(failed.in('skipped').reason, 'OUT_OF_RANGE');
    const unmeasured = evaluating().after({
      type: 'evaluation-failed',
      at: NOW + 30,
      round: roundNumber(1),
      candidate,
    });
    assert.equal(unmeasured.in('skipped').reason, 'EVALUATION_FAILED');
    assert.equal(unmeasured.in('skipped').candidate, candidate);
  });

  it('goes on without an update that was lost, as long as a quorum is left', () => {
    const run = aggregating({ quorum: 3 });
    const lost = (id: Id): RoundEvent => ({
      type: 'update-lost',
      at: NOW + 20,
      round: roundNumber(1),
      blob: hashOf(`blob of ${id} in 1`),
    });
    run.after(lost(ann));
    assert.deepEqual(run.summary, ['announce 1 aggregating', 'aggregate']);
    assert.equal(run.in('aggregating').accepted.length, 3);
    run.after(lost(ann));
    assert.deepEqual(run.summary, [], 'once');
    run.after(lost(ben));
    assert.equal(run.in('skipped').reason, 'QUORUM_MISSED');
    assert.deepEqual(
      run.in('skipped').refused.map(({ sender, code }) => [sender, code]),
      [
        [ann, 'UPDATE_LOST'],
        [ben, 'UPDATE_LOST'],
      ],
    );
  });

  it('ignores results of another round or candidate', () => {
    const run = evaluating();
    const before = run.state;
    run.after(
      { type: 'aggregated', at: NOW + 30, round: roundNumber(1), candidate: hashOf('late') },
      { type: 'evaluated', at: NOW + 30, round: roundNumber(2), candidate, figures: exampleFigures() },
      { type: 'evaluated', at: NOW + 30, round: roundNumber(1), candidate: hashOf('late'), figures: exampleFigures() },
      { type: 'evaluation-failed', at: NOW + 30, round: roundNumber(1), candidate: hashOf('late') },
      { type: 'receipt-signed', at: NOW + 30, round: roundNumber(1), receipt: hashOf('early') },
      tick(NOW + 999_999),
    );
    assert.equal(run.state, before);
  });
});

/** Takes a started run through a round that is published. */
function publish(run: Run, at: number, senders: readonly Id[] = ids): Run {
  const { round } = run.state;
  const output = hashOf(`adapter of round ${round}`);
  for (const id of senders) run.after(update(run.state, at, id));
  if (run.state.phase === 'collecting') run.after(tick(nextTick(run.state)!));
  return run.after(
    { type: 'aggregated', at, round, candidate: output },
    { type: 'evaluated', at, round, candidate: output, figures: exampleFigures() },
    { type: 'receipt-signed', at, round, receipt: hashOf(`receipt of round ${round}`) },
  );
}

describe('a federation', () => {
  it('opens the next round from the published adapter, with the other factor, and starts it at once', () => {
    const run = publish(started(), NOW + 10);
    assert.deepEqual(run.summary, ['announce 1 published', 'announce 2 training']);
    assert.equal(run.state.parent, hashOf('adapter of round 1'));
    assert.equal(run.state.receipt, hashOf('receipt of round 1'));
    assert.equal(factorOfRound(run.state), 'A');
  });

  it('finishes after the last round and stays finished', () => {
    const run = started();
    for (const round of [1, 2, 3]) {
      assert.equal(run.state.round, round);
      publish(run, NOW + round);
    }
    assert.deepEqual(run.summary, ['announce 3 published', 'announce 3 finished', 'finish']);
    assert.equal(run.state.parent, hashOf('adapter of round 3'));
    run.after(tick(NOW + 1e9), ...joins(NOW + 1e9, ann));
    assert.equal(run.state.phase, 'finished');
  });

  it('stops waiting for a member that missed two rounds in a row, until it is heard of', () => {
    const run = started({ rounds: 10 });
    publish(run, NOW + 1, [ann, ben, cid]);
    publish(run, NOW + 2, [ann, ben, cid]);
    assert.deepEqual(cohortOf(run.state), [ann, ben, cid]);
    run.after({ type: 'present', at: NOW + 3, participant: dan });
    const { state } = run;
    run.after({ type: 'present', at: NOW + 3, participant: dan });
    assert.equal(run.state, state, 'who is heard of again is no change, which would be written to a disk');
    publish(run, NOW + 4, [ann, ben, cid]);
    assert.deepEqual(cohortOf(run.state), ids);
  });

  it('waits with open doors when its members have fallen silent', () => {
    const run = started({ rounds: 10 });
    const ended = (at: number) =>
      ({ type: 'receipt-signed', at, round: run.state.round, receipt: hashOf('r') }) as const;
    run.after(tick(NOW + 60_000), ended(NOW + 60_000));
    run.after(tick(NOW + 120_000), ended(NOW + 120_000));
    assert.equal(run.state.phase, 'open');
    assert.equal(run.state.round, 3);
    run.after(tick(NOW + 1e9));
    assert.equal(run.state.round, 3, 'no round is spent on nobody');
  });

  it('can be stored as JSON and taken up again in every phase, with the same effects', () => {
    const runs = [
      new Run(),
      started(),
      aggregating(),
      evaluating(),
      evaluating().after({ type: 'evaluated', at: NOW, round: roundNumber(1), candidate, figures: exampleFigures() }),
      evaluating().after({ type: 'evaluation-failed', at: NOW, round: roundNumber(1), candidate }),
    ];
    for (const { state, effects } of runs) {
      const stored = JSON.parse(JSON.stringify(state)) as FederationState;
      assert.deepEqual(stored, state);
      const due = resume(stored);
      for (const effect of effects)
        if (effect.type !== 'answer') assert.ok(due.some((other) => deepEqual(other, effect)));
    }
  });
});

function deepEqual(a: unknown, b: unknown): boolean {
  return JSON.stringify(a) === JSON.stringify(b);
}

/** Any event at all, about right and wrong rounds, senders, blobs and times. */
function anyEvent(): fc.Arbitrary<(state: FederationState, now: number) => RoundEvent> {
  const participant = fc.constantFrom(...ids);
  const hash = fc.constantFrom('one', 'two', 'three').map(hashOf);
  const round = fc.constantFrom(-1, 0, 0, 0, 0, 1);
  const near = (state: FederationState, offset: number) => roundNumber(Math.max(0, state.round + offset));
  const result = (state: FederationState, right: boolean, other: Sha256) =>
    right && 'candidate' in state && state.candidate !== null ? state.candidate : other;
  return fc.oneof(
    fc.constant((_: FederationState, at: number): RoundEvent => ({ type: 'tick', at })),
    fc
      .tuple(participant, hash, fc.constantFrom('joined' as const, 'left' as const))
      .map(([id, request, type]) => (_: FederationState, at: number): RoundEvent => ({
        type,
        at,
        participant: id,
        request,
      })),
    participant.map((id) => (_: FederationState, at: number): RoundEvent => ({ type: 'present', at, participant: id })),
    fc
      .tuple(participant, hash, round, fc.constantFrom('A' as const, null, null, null), fc.integer({ max: 4, min: 0 }))
      .map(([id, blob, offset, factor, luck]) => (state: FederationState, at: number): RoundEvent => {
        const event = update(state, at, id, { blob, round: near(state, offset), ...(factor && { factor }) });
        return luck > 0 || event.type !== 'update-accepted'
          ? event
          : { type: 'update-refused', at, offer: event.offer, code: 'NOT_FINITE' };
      }),
    fc.tuple(hash, round).map(([blob, offset]) => (state: FederationState, at: number): RoundEvent => ({
      type: 'update-lost',
      at,
      round: near(state, offset),
      blob,
    })),
    fc.tuple(hash, round, fc.boolean()).map(
      ([blob, offset, ok]) =>
        (state: FederationState, at: number): RoundEvent =>
          ok
            ? { type: 'aggregated', at, round: near(state, offset), candidate: blob }
            : { type: 'aggregation-failed', at, round: near(state, offset) },
    ),
    fc
      .tuple(hash, round, fc.boolean(), fc.integer({ min: 60, max: 80 }))
      .map(([other, offset, right, root]) => (state: FederationState, at: number): RoundEvent => ({
        type: 'evaluated',
        at,
        round: near(state, offset),
        candidate: result(state, right, other),
        figures: exampleFigures(root, 70),
      })),
    fc.tuple(hash, round).map(([receipt, offset]) => (state: FederationState, at: number): RoundEvent => ({
      type: 'receipt-signed',
      at,
      round: near(state, offset),
      receipt,
    })),
  );
}

describe('any order of events', () => {
  it('keeps what the protocol promises', () => {
    const seen = new Set<string>();
    const wait = fc.constantFrom(...Array.from({ length: 9 }, () => [0, 1, 1_000]).flat(), 60_000);
    const script = fc.array(fc.tuple(anyEvent(), wait), {
      minLength: 1,
      maxLength: 150,
      size: 'max',
    });
    fc.assert(
      fc.property(script, fc.integer({ min: 1, max: 4 }), (events, quorum) => {
        let now = NOW;
        let state = initialState(exampleManifest({ quorum }), NOW);
        const receipts = new Map<number, number>();
        for (const [make, wait] of events) {
          now += wait;
          const before = structuredClone(state);
          const event = make(state, now);
          const next = step(state, event);
          assert.deepEqual(state, before, 'the state that was given is not touched');
          checkStep(state, event, next.state, next.effects);
          if (next.state.round > state.round || (next.state.phase === 'finished' && state.phase !== 'finished')) {
            receipts.set(state.round, (receipts.get(state.round) ?? 0) + 1);
          }
          state = JSON.parse(JSON.stringify(next.state)) as FederationState;
          seen.add(state.phase === 'skipped' ? `skipped ${state.reason}` : state.phase);
        }
        for (const [round, count] of receipts) assert.equal(count, 1, `receipts of round ${round}`);
      }),
      { numRuns: 1_000 },
    );
    const reached = ['aggregating', 'collecting', 'evaluating', 'finished', 'open', 'published', 'training'];
    const reasons = ['GATE_REFUSED', 'OUT_OF_RANGE', 'QUORUM_MISSED'].map((reason) => `skipped ${reason}`);
    for (const phase of [...reached, ...reasons]) assert.ok(seen.has(phase), `the scripts reach ${phase}`);
  }).timeout(300_000);
});

function checkStep(
  before: FederationState,
  event: RoundEvent,
  state: FederationState,
  effects: readonly RoundEffect[],
): void {
  assert.ok(state.round === before.round || state.round === before.round + 1, 'the round never falls, nor jumps');
  assert.ok(state.round <= state.rules.rounds);
  if (state.parent !== before.parent) {
    assert.ok(before.phase === 'published' && event.type === 'receipt-signed' && state.parent === before.candidate);
  }
  if ('accepted' in state) {
    const senders = state.accepted.map(({ sender }) => sender);
    assert.equal(new Set(senders).size, senders.length, 'one accepted update a participant');
    assert.deepEqual(senders, senders.toSorted());
    assert.ok(senders.every((sender) => state.cohort.includes(sender)));
    const refused = state.refused.map(({ sender }) => sender);
    assert.equal(new Set([...senders, ...refused]).size, senders.length + refused.length, 'one verdict a participant');
    if ('accepted' in before && before.round === state.round && event.type !== 'update-lost') {
      for (const update of before.accepted)
        assert.ok(
          state.accepted.some((kept) => deepEqual(kept, update)),
          'kept',
        );
      if (state.accepted.length > before.accepted.length) assert.ok(event.at < before.deadline, 'before the deadline');
    }
    assert.ok(state.cohort.length <= state.rules.maxParticipants);
  }
  if (state.phase === 'aggregating' || state.phase === 'evaluating' || state.phase === 'published') {
    assert.ok(state.accepted.length >= state.rules.quorum, 'no aggregate without a quorum');
  }
  if (state === before) {
    assert.ok(
      effects.every(({ type }) => type === 'answer'),
      'nothing is due when nothing changed',
    );
  }
  const entered = state.phase !== before.phase || state.round !== before.round;
  if (entered) for (const effect of resume(state)) assert.ok(effects.some((other) => deepEqual(other, effect)));
  const wantsAnswer = 'request' in event || 'offer' in event;
  assert.equal(effects.filter(({ type }) => type === 'answer').length, wantsAnswer ? 1 : 0, 'one answer a request');
}
