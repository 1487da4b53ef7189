/**
 * What an aggregator says while it runs: one object each, which `aggregator start --json` prints as one line.
 */
import type { Proportion } from '../node/evaluation/intervals.ts';
import type { ErrorCode } from '../protocol/errors.ts';
import type { EvaluationFigures } from '../protocol/figures.ts';
import type { ParticipantId } from '../protocol/identity.ts';
import type { Factor } from '../protocol/messages.ts';
import type { RoundNumber, Sha256 } from '../protocol/names.ts';

/** It is reachable. `addresses` end in its peer id. */
export interface ListeningEvent {
  readonly event: 'listening';
  readonly id: ParticipantId;
  readonly federation: Sha256;
  readonly addresses: readonly string[];
  /** Where the federation stands: after a restart, the round that goes on. */
  readonly round: RoundNumber;
  readonly phase: string;
}

/** Another aggregator runs the federation; this one has copied its log so far. */
export interface StandingByEvent {
  readonly event: 'standing-by';
  readonly aggregator: ParticipantId;
  /** The round that the other is in, and the rounds that were copied. */
  readonly round: RoundNumber;
  readonly copied: number;
}

/** No other aggregator runs the federation: this one does from now on. */
export interface TookOverEvent {
  readonly event: 'took-over';
  readonly round: RoundNumber;
}

/** Another aggregator's log, no longer than this one's, is another history: two ran the federation at once. */
export interface OtherHistoryEvent {
  readonly event: 'other-history';
  readonly aggregator: ParticipantId;
  /** Receipts in its log, and in this one's. */
  readonly receipts: number;
  readonly own: number;
}

/** The base model was measured on the evaluation set: what every round is compared with. */
export interface BaseMeasuredEvent {
  readonly event: 'base-measured';
  readonly perplexity: number;
}

export interface JoinedEvent {
  readonly event: 'joined';
  readonly participant: ParticipantId;
  readonly pairsBucket: number;
  /** Members now. */
  readonly members: number;
}

export interface LeftEvent {
  readonly event: 'left';
  readonly participant: ParticipantId;
  readonly members: number;
}

/** The owner has revoked keys or invites; the newest list has these. */
export interface RevokedEvent {
  readonly event: 'revoked';
  readonly version: number;
  readonly participants: readonly ParticipantId[];
  readonly invites: number;
}

export interface RoundOpenedEvent {
  readonly event: 'round-opened';
  readonly round: RoundNumber;
  readonly factor: Factor;
  readonly parent: Sha256;
  readonly cohort: readonly ParticipantId[];
  /** Milliseconds since 1970. */
  readonly deadline: number;
}

export interface UpdateAcceptedEvent {
  readonly event: 'update-accepted';
  readonly round: RoundNumber;
  readonly participant: ParticipantId;
  readonly blob: Sha256;
  readonly bytes: number;
  /** L2 norm in units of the weights. */
  readonly norm: number;
  /** How many of the cohort have answered now. */
  readonly accepted: number;
  readonly cohort: number;
}

/** A message was refused, whatever it was; `participant` is who sent it over the network. */
export interface RefusedEvent {
  readonly event: 'refused';
  /** The message's type where it could be read. */
  readonly message: string | null;
  readonly participant: ParticipantId;
  readonly code: ErrorCode;
}

export interface AggregatedEvent {
  readonly event: 'aggregated';
  readonly round: RoundNumber;
  readonly candidate: Sha256;
  readonly updates: number;
  readonly seconds: number;
}

export interface RoundClosedEvent {
  readonly event: 'round-closed';
  readonly round: RoundNumber;
  readonly outcome: 'published' | 'skipped';
  readonly reason: ErrorCode | null;
  readonly factor: Factor;
  /** The adapter after the round. */
  readonly adapter: Sha256;
  readonly receipt: Sha256;
  readonly updates: number;
  readonly figures: EvaluationFigures | null;
  /** Preference accuracy of the candidate on the evaluation set. */
  readonly accuracy: Proportion | null;
  /** The same apart for each `metadata.taste`; empty where the set has none. */
  readonly byTaste: Readonly<Record<string, Proportion>>;
  /** From the start of training to the receipt. */
  readonly seconds: number;
  /** Bytes of updates that came in since the process started. */
  readonly bytesReceived: number;
}

export interface FinishedEvent {
  readonly event: 'finished';
  readonly rounds: number;
  readonly adapter: Sha256;
  readonly receipt: Sha256;
}

export type AggregatorEvent =
  | ListeningEvent
  | StandingByEvent
  | TookOverEvent
  | OtherHistoryEvent
  | BaseMeasuredEvent
  | JoinedEvent
  | LeftEvent
  | RevokedEvent
  | RoundOpenedEvent
  | UpdateAcceptedEvent
  | RefusedEvent
  | AggregatedEvent
  | RoundClosedEvent
  | FinishedEvent;
