/**
 * What the round machine of `round.ts` knows (state), is told (events) and asks for (effects). Plain JSON throughout.
 */
import { ruleByName } from './aggregation/rules.ts';
import type { RuleName } from './aggregation/rules.ts';
import type { ErrorCode } from './errors.ts';
import type { EvaluationFigures } from './figures.ts';
import type { ParticipantId } from './identity.ts';
import type { Manifest } from './manifest.ts';
import type { Factor, MessageHeader, Payload, Phase } from './messages.ts';
import { roundNumber } from './names.ts';
import type { RoundNumber, Sha256 } from './names.ts';

/** Why a round ends without a new adapter: the codes of `errors.ts` that a receipt may give as its reason. */
export const SKIP_REASONS = [
  'QUORUM_MISSED',
  'GATE_REFUSED',
  'OUT_OF_RANGE',
  'EVALUATION_FAILED',
] as const satisfies ErrorCode[];
export type SkipReason = (typeof SKIP_REASONS)[number];

/** The manifest's terms that rounds run by. Times in milliseconds. */
export interface RoundRules {
  readonly rule: RuleName;
  readonly rounds: number;
  readonly quorum: number;
  readonly maxParticipants: number;
  readonly joinTime: number;
  readonly roundTime: number;
  readonly maxLossPoints: number;
}

export interface AcceptedUpdate {
  readonly sender: ParticipantId;
  /** Hash of the update message's envelope. */
  readonly envelope: Sha256;
  readonly blob: Sha256;
  readonly bytes: number;
  readonly pairsBucket: number;
}

export interface RefusedUpdate {
  readonly sender: ParticipantId;
  readonly envelope: Sha256;
  readonly blob: Sha256;
  readonly code: ErrorCode;
}

/** The owner's newest list, as far as rounds are concerned. */
export interface RevokedKeys {
  /** The list's hash. */
  readonly list: Sha256;
  readonly participants: readonly ParticipantId[];
}

export interface Member {
  /** Rounds in a row that it was asked in and did not answer. */
  readonly missed: number;
}

interface Federation {
  readonly rules: RoundRules;
  readonly round: RoundNumber;
  /** The adapter that the round starts from. */
  readonly parent: Sha256;
  /** What the server optimiser remembers before the round: a blob's hash; null where there is nothing. */
  readonly optimizerState: Sha256 | null;
  /** The receipt of the round before; null in the first. */
  readonly receipt: Sha256 | null;
  readonly members: Readonly<Record<ParticipantId, Member>>;
  /** None of these is a member; null while nobody was revoked. */
  readonly revocations: RevokedKeys | null;
  readonly openedAt: number;
}

interface Started extends Federation {
  readonly startedAt: number;
  readonly deadline: number;
  /** Who is asked for an update, ascending. */
  readonly cohort: readonly ParticipantId[];
  /** Ascending by sender. */
  readonly accepted: readonly AcceptedUpdate[];
  /** The first refusal of each sender without an accepted update; ascending by sender. */
  readonly refused: readonly RefusedUpdate[];
}

interface Closed extends Started {
  /** Hash of the list of revocations at that moment: a later one leaves the round as it is. */
  readonly closedUnder: Sha256 | null;
  readonly closedAt: number;
}

export interface OpenRound extends Federation {
  readonly phase: 'open';
  /** Since when there are enough members; null while there are too few. */
  readonly quorumSince: number | null;
}
export interface CollectingRound extends Started {
  /** `training` until the first update is accepted. */
  readonly phase: 'training' | 'collecting';
}
export interface AggregatingRound extends Closed {
  readonly phase: 'aggregating';
}
export interface EvaluatingRound extends Closed {
  readonly phase: 'evaluating';
  readonly candidate: Sha256;
  /** What the server optimiser remembers once the candidate is published. */
  readonly candidateState: Sha256 | null;
}
export interface PublishedRound extends Closed {
  readonly phase: 'published';
  readonly candidate: Sha256;
  readonly candidateState: Sha256 | null;
  readonly figures: EvaluationFigures;
}
export interface SkippedRound extends Closed {
  readonly phase: 'skipped';
  readonly reason: SkipReason;
  /** What was aggregated and measured before the round was skipped, if it came to that. */
  readonly candidate: Sha256 | null;
  readonly figures: EvaluationFigures | null;
}
/** All rounds are done: `round` is the last one, `parent` the final adapter. */
export interface FinishedFederation extends Federation {
  readonly phase: 'finished';
}

export type EndedRound = PublishedRound | SkippedRound;
export type FederationState =
  OpenRound | CollectingRound | AggregatingRound | EvaluatingRound | EndedRound | FinishedFederation;

/** What happens. `at` is in milliseconds since 1970; `request` is the hash of the envelope to answer. */
export type RoundEvent =
  | { readonly type: 'tick'; readonly at: number }
  /** An admitted participant asks to be a member, maybe again. */
  | { readonly type: 'joined'; readonly at: number; readonly participant: ParticipantId; readonly request: Sha256 }
  /** A member asked where the round stands: it is alive. */
  | { readonly type: 'present'; readonly at: number; readonly participant: ParticipantId }
  | { readonly type: 'left'; readonly at: number; readonly participant: ParticipantId; readonly request: Sha256 }
  /** The owner has revoked keys: all that its newest list names. */
  | {
      readonly type: 'revoked';
      readonly at: number;
      readonly list: Sha256;
      readonly participants: readonly ParticipantId[];
    }
  /** An update passed every check of admission and its blob is on disk. */
  | { readonly type: 'update-accepted'; readonly at: number; readonly offer: UpdateOffer }
  /** An update of a member failed a check. */
  | { readonly type: 'update-refused'; readonly at: number; readonly offer: UpdateOffer; readonly code: ErrorCode }
  /** An accepted update's blob can no longer be read, and nobody has it. */
  | { readonly type: 'update-lost'; readonly at: number; readonly round: RoundNumber; readonly blob: Sha256 }
  | {
      readonly type: 'aggregated';
      readonly at: number;
      readonly round: RoundNumber;
      readonly candidate: Sha256;
      /** What the server optimiser remembers with it; absent or null without one. */
      readonly optimizerState?: Sha256 | null;
    }
  /** The updates' sum leaves the range of the integers: OUT_OF_RANGE. */
  | { readonly type: 'aggregation-failed'; readonly at: number; readonly round: RoundNumber }
  | {
      readonly type: 'evaluated';
      readonly at: number;
      readonly round: RoundNumber;
      readonly candidate: Sha256;
      readonly figures: EvaluationFigures;
    }
  /** The candidate gives figures that are not finite. */
  | { readonly type: 'evaluation-failed'; readonly at: number; readonly round: RoundNumber; readonly candidate: Sha256 }
  /** The round's receipt is signed and on disk. */
  | { readonly type: 'receipt-signed'; readonly at: number; readonly round: RoundNumber; readonly receipt: Sha256 };

/** An update as its message offers it. */
export interface UpdateOffer extends AcceptedUpdate {
  readonly round: RoundNumber;
  readonly factor: Factor;
  readonly parent: Sha256;
}

/** What is to be done. */
export type RoundEffect =
  /** Answer a request: accepted when `code` is null, else refused with it. */
  | {
      readonly type: 'answer';
      readonly participant: ParticipantId;
      readonly request: Sha256;
      readonly code: ErrorCode | null;
    }
  /** Tell everyone by gossip. */
  | {
      readonly type: 'announce';
      readonly round: RoundNumber;
      readonly phase: Phase;
      readonly receipt: Sha256 | null;
    }
  /** Aggregate these blobs (ascending by hash) and report `aggregated`, `aggregation-failed` or `update-lost`. */
  | {
      readonly type: 'aggregate';
      readonly round: RoundNumber;
      readonly rule: RuleName;
      readonly factor: Factor;
      readonly parent: Sha256;
      readonly optimizerState: Sha256 | null;
      readonly blobs: readonly Sha256[];
    }
  /** Measure the candidate and its parent, and report `evaluated` or `evaluation-failed`. */
  | {
      readonly type: 'evaluate';
      readonly round: RoundNumber;
      readonly candidate: Sha256;
      readonly parent: Sha256;
    }
  /** Sign and store the receipt of this round (`receiptOf` in `receipt.ts`), and report `receipt-signed`. */
  | { readonly type: 'publish'; readonly ended: EndedRound }
  /** No round is left: say so and stop. */
  | { readonly type: 'finish'; readonly adapter: Sha256; readonly receipt: Sha256 };

type RoundTerms = Omit<Payload<'round-terms'>, Exclude<keyof MessageHeader, 'round'> | 'recipient' | 'request'>;

/** The state of a federation before its first round. */
export function initialState(manifest: Manifest, at: number): FederationState {
  return {
    phase: 'open',
    rules: {
      rule: manifest.aggregation.rule,
      rounds: manifest.rounds,
      quorum: manifest.quorum,
      maxParticipants: manifest.maxParticipants,
      joinTime: manifest.deadlines.join,
      roundTime: manifest.deadlines.round,
      maxLossPoints: manifest.evaluation.gate.maxLossPoints,
    },
    round: roundNumber(1),
    parent: manifest.adapter.initial,
    optimizerState: null,
    receipt: null,
    members: {},
    revocations: null,
    openedAt: at,
    quorumSince: null,
  };
}

/** The factor that the state's round trains and sends. */
export function factorOfRound(state: FederationState): Factor {
  return ruleByName(state.rules.rule).factorOf(state.round);
}

/** What a participant is told of the round: the body of a `round-terms` message. */
export function roundTermsOf(state: FederationState, participant: ParticipantId): RoundTerms {
  const { phase, round, parent, receipt, openedAt } = state;
  const started = phase !== 'open' && phase !== 'finished';
  return {
    round,
    phase,
    factor: factorOfRound(state),
    parent,
    asked: started && state.cohort.includes(participant),
    members: Object.keys(state.members).length,
    openedAt,
    deadline: started ? state.deadline : null,
    receipt,
  };
}

/** When the machine wants a `tick` at the latest, in milliseconds since 1970; null when it waits for something else. */
export function nextTick(state: FederationState): number | null {
  if (state.phase === 'open') return state.quorumSince === null ? null : state.quorumSince + state.rules.joinTime;
  return state.phase === 'training' || state.phase === 'collecting' ? state.deadline : null;
}
