/**
 * The protocol: how a federation goes through its rounds.
 *
 *            quorum of members        first update         all answered, or deadline
 *     open ───────────────────▶ training ─────▶ collecting ─────────────────────────▶ aggregating
 *      ▲                            │ deadline, quorum missed │                            │
 *      │                            └───────────┬─────────────┘                            ▼
 *      │   receipt signed                       ▼                gate refuses          evaluating
 *      ├──────────────────────────────────── skipped ◀─────────────────────────────────────┤
 *      │   receipt signed                                        gate passes               │
 *      └──────────────────────────────────── published ◀───────────────────────────────────┘
 *
 * `step` is a pure function: what happens comes in as an event with its time, what is to be done goes out as effects.
 * The aggregator stores the new state first and then carries out the effects; the state is plain JSON, and after a
 * crash `resume` gives the effects that are still due. Carrying one out twice does no harm, and an event that comes
 * twice, late, or in the wrong phase changes nothing.
 *
 * What always holds: the round's number never falls; a participant has at most one accepted update a round, and
 * none after the deadline or after its key was revoked; a round ends in exactly one receipt; the parent changes only
 * by publishing.
 */
import { checkOffer } from './aggregation/admission.ts';
import { PrefmeshError } from './errors.ts';
import type { ErrorCode } from './errors.ts';
import { rootLossPoints } from './figures.ts';
import type { EvaluationFigures } from './figures.ts';
import type { ParticipantId } from './identity.ts';
import { LIMITS } from './limits.ts';
import { roundNumber } from './names.ts';
import type { Sha256 } from './names.ts';
import { factorOfRound } from './roundState.ts';
import type {
  AggregatingRound,
  CollectingRound,
  EndedRound,
  EvaluatingRound,
  FederationState,
  Member,
  OpenRound,
  RevokedKeys,
  RoundEffect,
  RoundEvent,
  SkipReason,
  UpdateOffer,
} from './roundState.ts';

type EventOf<Type extends RoundEvent['type']> = Extract<RoundEvent, { type: Type }>;

export interface Step {
  readonly state: FederationState;
  readonly effects: readonly RoundEffect[];
}

/** One step of the protocol. The same state object comes back when nothing changed. */
export function step(state: FederationState, event: RoundEvent): Step {
  const unchanged: Step = { state, effects: [] };
  switch (event.type) {
    case 'tick':
      return settle(state, event.at);

    case 'joined':
      return join(state, event);

    case 'present':
      return state.members[event.participant]?.missed ? settle(awake(state, event.participant), event.at) : unchanged;

    case 'left': {
      const { [event.participant]: leaving, ...members } = state.members;
      const next = leaving ? settle({ ...state, members }, event.at) : unchanged;
      return after([answer(event.participant, event.request, null)], next);
    }

    case 'revoked':
      return revoke(state, event);

    case 'update-accepted':
      return accept(state, event.offer, event.at);

    case 'update-refused':
      return refuse(state, event.offer, event.code);

    case 'update-lost':
      return state.phase === 'aggregating' && state.round === event.round ? lose(state, event.blob) : unchanged;

    case 'aggregated':
      if (state.phase !== 'aggregating' || state.round !== event.round) return unchanged;
      return entering({
        ...state,
        phase: 'evaluating',
        candidate: event.candidate,
        candidateState: event.optimizerState ?? null,
      });

    case 'aggregation-failed':
      if (state.phase !== 'aggregating' || state.round !== event.round) return unchanged;
      return skip(state, 'OUT_OF_RANGE');

    case 'evaluated':
      if (state.phase !== 'evaluating' || state.round !== event.round) return unchanged;
      if (state.candidate !== event.candidate) return unchanged;
      if (rootLossPoints(event.figures) > state.rules.maxLossPoints) return skip(state, 'GATE_REFUSED', event.figures);
      return entering({ ...state, phase: 'published', figures: event.figures });

    case 'evaluation-failed':
      if (state.phase !== 'evaluating' || state.round !== event.round) return unchanged;
      return state.candidate === event.candidate ? skip(state, 'EVALUATION_FAILED') : unchanged;

    case 'receipt-signed':
      if ((state.phase !== 'published' && state.phase !== 'skipped') || state.round !== event.round) return unchanged;
      return after([announce(state, event.receipt)], openNext(state, event.receipt, event.at));
  }
}

/** The effects that are due in a state: what to do after a restart, as if the state had just been entered. */
export function resume(state: FederationState): readonly RoundEffect[] {
  switch (state.phase) {
    case 'open':
    case 'training':
    case 'collecting':
      return [announce(state)];
    case 'aggregating':
      return [announce(state), aggregate(state)];
    case 'evaluating':
      return [
        announce(state),
        { type: 'evaluate', round: state.round, candidate: state.candidate, parent: state.parent },
      ];
    case 'published':
    case 'skipped':
      return [{ type: 'publish', ended: state }];
    case 'finished':
      return [announce(state), { type: 'finish', adapter: state.parent, receipt: state.receipt! }];
  }
}

/** A new member takes part from the next round on, unless the present one has not started yet. */
function join(state: FederationState, { participant, request, at }: EventOf<'joined'>): Step {
  const member = state.members[participant];
  if (state.revocations?.participants.includes(participant)) {
    return { state, effects: [answer(participant, request, 'KEY_REVOKED')] };
  }
  if (!member && Object.keys(state.members).length >= state.rules.maxParticipants) {
    return { state, effects: [answer(participant, request, 'FEDERATION_FULL')] };
  }
  const next = member?.missed === 0 ? state : awake(state, participant);
  return after([answer(participant, request, null)], settle(next, at));
}

function revoke(state: FederationState, { at, list, participants }: EventOf<'revoked'>): Step {
  return state.revocations?.list === list
    ? { state, effects: [] }
    : settle(withoutRevoked(state, { list, participants }), at);
}

/**
 * Takes the revoked out of the members, and what they have sent out of a round that still collects. A round that is
 * closed already goes on with what it was closed with.
 */
export function withoutRevoked(state: FederationState, revocations: RevokedKeys): FederationState {
  const { participants } = revocations;
  const kept = Object.entries(state.members).filter(([id]) => !participants.includes(id as ParticipantId));
  const next = { ...state, members: Object.fromEntries(kept), revocations };
  return isCollecting(next) ? withoutUpdatesOf(participants, next) : next;
}

function withoutUpdatesOf(participants: readonly ParticipantId[], state: CollectingRound): CollectingRound {
  const revoked = state.accepted
    .filter(({ sender }) => participants.includes(sender))
    .map(({ sender, envelope, blob }) => ({ sender, envelope, blob, code: 'KEY_REVOKED' as const }));
  return {
    ...state,
    accepted: state.accepted.filter(({ sender }) => !participants.includes(sender)),
    refused: bySender([...state.refused, ...revoked]),
  };
}

/** Counts an update, unless it does not fit the round any more: the round may have moved on since it was offered. */
function accept(state: FederationState, offer: UpdateOffer, at: number): Step {
  const verdict = checkOffer(state, offer, at);
  if (verdict instanceof PrefmeshError) {
    return { state, effects: [answer(offer.sender, offer.envelope, verdict.code)] };
  }
  const accepted = answer(offer.sender, offer.envelope, null);
  if (verdict === 'accepted before' || !isCollecting(state)) return { state, effects: [accepted] };
  const { sender, envelope, blob, bytes, pairsBucket } = offer;
  const next: CollectingRound = {
    ...state,
    phase: 'collecting',
    accepted: bySender([...state.accepted, { sender, envelope, blob, bytes, pairsBucket }]),
    refused: state.refused.filter((update) => update.sender !== sender),
  };
  return after(state.phase === 'training' ? [accepted, announce(next)] : [accepted], settle(next, at));
}

/** Notes that an update was refused. One note a participant, so that nobody can make the receipt grow. */
function refuse(state: FederationState, { sender, envelope, blob, round }: UpdateOffer, code: ErrorCode): Step {
  const effects = [answer(sender, envelope, code)];
  if (!isCollecting(state) || round !== state.round || !state.cohort.includes(sender)) return { state, effects };
  if ([...state.accepted, ...state.refused].some((update) => update.sender === sender)) return { state, effects };
  return { state: { ...state, refused: bySender([...state.refused, { sender, envelope, blob, code }]) }, effects };
}

/** Goes on without the updates that had this blob, if enough are left. */
function lose(state: AggregatingRound, lost: Sha256): Step {
  const refused = state.accepted
    .filter(({ blob }) => blob === lost)
    .map(({ sender, envelope, blob }) => ({ sender, envelope, blob, code: 'UPDATE_LOST' as const }));
  if (refused.length === 0) return { state, effects: [] };
  return aggregateOrSkip({
    ...state,
    accepted: state.accepted.filter(({ blob }) => blob !== lost),
    refused: bySender([...state.refused, ...refused]),
  });
}

/** Moves on if the time or the answers allow it. */
function settle(state: FederationState, at: number): Step {
  if (state.phase === 'open') {
    const enough = present(state).length >= state.rules.quorum;
    const quorumSince = enough ? (state.quorumSince ?? at) : null;
    const waiting = quorumSince === state.quorumSince ? state : { ...state, quorumSince };
    const full = present(state).length === state.rules.maxParticipants;
    if (quorumSince !== null && (full || at >= quorumSince + state.rules.joinTime)) return start(waiting, at);
    return { state: waiting, effects: [] };
  }
  if (isCollecting(state)) {
    const answered = new Set(state.accepted.map(({ sender }) => sender));
    const awaited = state.cohort.filter((member) => state.members[member] && !answered.has(member));
    if (awaited.length === 0 || at >= state.deadline) return close(state, at);
  }
  return { state, effects: [] };
}

/** The cohort is whoever is a member now and has not been silent for too long. */
function start(state: OpenRound, at: number): Step {
  const { quorumSince: _, ...federation } = state;
  return entering({
    ...federation,
    phase: 'training',
    startedAt: at,
    deadline: at + state.rules.roundTime,
    cohort: present(state),
    accepted: [],
    refused: [],
  });
}

function close(state: CollectingRound, at: number): Step {
  const answered = new Set(state.accepted.map(({ sender }) => sender));
  const members = { ...state.members };
  for (const id of state.cohort) {
    const member = members[id];
    if (member) members[id] = { missed: answered.has(id) ? 0 : member.missed + 1 };
  }
  return aggregateOrSkip({
    ...state,
    phase: 'aggregating',
    closedAt: at,
    closedUnder: state.revocations?.list ?? null,
    members,
  });
}

function aggregateOrSkip(state: AggregatingRound): Step {
  return state.accepted.length >= state.rules.quorum ? entering(state) : skip(state, 'QUORUM_MISSED');
}

function skip(
  state: AggregatingRound | EvaluatingRound,
  reason: SkipReason,
  figures: EvaluationFigures | null = null,
): Step {
  const candidate = state.phase === 'evaluating' ? state.candidate : null;
  return entering({ ...state, phase: 'skipped', reason, candidate, figures });
}

/** The next round, or the end. Members are there already, so a round with a quorum of them starts at once. */
function openNext(ended: EndedRound, receipt: Sha256, at: number): Step {
  const { rules, members, revocations } = ended;
  const parent = ended.phase === 'published' ? ended.candidate : ended.parent;
  const optimizerState = ended.phase === 'published' ? ended.candidateState : ended.optimizerState;
  if (ended.round >= rules.rounds) {
    return entering({
      phase: 'finished',
      rules,
      round: ended.round,
      parent,
      optimizerState,
      receipt,
      members,
      revocations,
      openedAt: ended.openedAt,
    });
  }
  const open: OpenRound = {
    phase: 'open',
    rules,
    round: roundNumber(ended.round + 1),
    parent,
    optimizerState,
    receipt,
    members,
    revocations,
    openedAt: at,
    quorumSince: null,
  };
  return present(open).length >= rules.quorum ? start(open, at) : entering(open);
}

function entering(state: FederationState): Step {
  return { state, effects: resume(state) };
}

function after(effects: readonly RoundEffect[], next: Step): Step {
  return { state: next.state, effects: [...effects, ...next.effects] };
}

function isCollecting(state: FederationState): state is CollectingRound {
  return state.phase === 'training' || state.phase === 'collecting';
}

function present(state: FederationState): ParticipantId[] {
  const members = Object.entries(state.members) as [ParticipantId, Member][];
  return members
    .filter(([, { missed }]) => missed < LIMITS.missedRounds.value)
    .map(([id]) => id)
    .sort();
}

/** The participant is a member, and not silent. */
function awake<State extends FederationState>(state: State, participant: ParticipantId): State {
  if (state.members[participant]?.missed === 0) return state; // nothing new, so nothing to write to a disk
  return { ...state, members: { ...state.members, [participant]: { missed: 0 } } };
}

function bySender<Item extends { readonly sender: ParticipantId }>(items: readonly Item[]): Item[] {
  return items.toSorted((a, b) => (a.sender < b.sender ? -1 : 1));
}

function answer(participant: ParticipantId, request: Sha256, code: ErrorCode | null): RoundEffect {
  return { type: 'answer', participant, request, code };
}

function announce(state: FederationState, receipt: Sha256 | null = null): RoundEffect {
  return { type: 'announce', round: state.round, phase: state.phase, receipt };
}

function aggregate(state: AggregatingRound): RoundEffect {
  return {
    type: 'aggregate',
    round: state.round,
    rule: state.rules.rule,
    factor: factorOfRound(state),
    parent: state.parent,
    optimizerState: state.optimizerState,
    blobs: state.accepted.map(({ blob }) => blob).sort(),
  };
}
