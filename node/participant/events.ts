/**
 * What a participant says while it runs: one object each, which `node start --json` prints as one line.
 */
import type { ErrorCode } from '../../protocol/errors.ts';
import type { EvaluationFigures } from '../../protocol/figures.ts';
import type { ParticipantId } from '../../protocol/identity.ts';
import type { Factor } from '../../protocol/messages.ts';
import type { RoundNumber, Sha256 } from '../../protocol/names.ts';
import type { StepMetrics } from '../training/metrics.ts';

/** It runs. `addresses` end in its peer id; empty for a node that only dials out. */
export interface StartedEvent {
  readonly event: 'started';
  readonly id: ParticipantId;
  readonly federation: Sha256;
  readonly addresses: readonly string[];
  /** Pairs that it trains on. */
  readonly pairs: number;
}

/** An aggregator that the manifest names was reached. */
export interface AggregatorFoundEvent {
  readonly event: 'aggregator-found';
  readonly aggregator: ParticipantId;
  readonly through: 'address' | 'dht';
}

export interface MemberEvent {
  readonly event: 'member';
  readonly federation: Sha256;
}

export interface TrainingEvent {
  readonly event: 'training';
  readonly round: RoundNumber;
  readonly factor: Factor;
  readonly parent: Sha256;
  readonly steps: number;
  /** Milliseconds since 1970, by the aggregator's clock. */
  readonly deadline: number | null;
}

/** One optimiser step: the metrics of `train`, the round, and the rate. */
export interface StepEvent extends StepMetrics {
  readonly event: 'step';
  readonly round: RoundNumber;
  readonly steps_per_second: number;
}

/** The round's update is on disk. */
export interface TrainedEvent {
  readonly event: 'trained';
  readonly round: RoundNumber;
  readonly blob: Sha256;
  readonly bytes: number;
  /** L2 norm in units of the weights. */
  readonly norm: number;
  /** Whether the update was shortened to the norm bound. */
  readonly shortened: boolean;
  readonly seconds: number;
}

/** An update that was on disk from before a restart is offered again. */
export interface ResumedEvent {
  readonly event: 'resumed';
  readonly round: RoundNumber;
  readonly blob: Sha256;
}

export interface UpdateAcceptedEvent {
  readonly event: 'update-accepted';
  readonly round: RoundNumber;
  readonly blob: Sha256;
  /** Bytes of the update. */
  readonly bytesSent: number;
}

export interface UpdateRefusedEvent {
  readonly event: 'update-refused';
  readonly round: RoundNumber;
  readonly code: ErrorCode;
}

/** A receipt passed every check. */
export interface ReceiptVerifiedEvent {
  readonly event: 'receipt-verified';
  readonly round: RoundNumber;
  readonly receipt: Sha256;
  readonly outcome: 'published' | 'skipped';
  readonly reason: string | null;
  /** How many of each were checked: see `verification.ts`. */
  readonly checked: { readonly signatures: number; readonly hashes: number; readonly aggregates: number };
  readonly figures: EvaluationFigures | null;
}

/** The aggregator's log agrees with the receipts verified here, and with what it said before. */
export interface LogCheckedEvent {
  readonly event: 'log-checked';
  /** How many receipts its newest checkpoint has. */
  readonly receipts: number;
  /** How many witnesses have cosigned it, this node among them where it is one. */
  readonly cosignatures: number;
}

/** A receipt failed: nothing of its round is adopted. All that is wrong, in order. */
export interface ReceiptRefusedEvent {
  readonly event: 'receipt-refused';
  readonly round: RoundNumber;
  readonly codes: readonly ErrorCode[];
}

export interface AdoptedEvent {
  readonly event: 'adopted';
  readonly round: RoundNumber;
  /** Hash of the adapter's blob: the same for all participants. */
  readonly adapter: Sha256;
  /** The PEFT folder. */
  readonly folder: string;
  /** Bytes of blobs that came in for the round: the adapter and what was needed to check it. */
  readonly bytesReceived: number;
}

/** Something did not work and is tried again. */
export interface RetryingEvent {
  readonly event: 'retrying';
  readonly code: ErrorCode;
  readonly problem: string;
}

export interface PausedEvent {
  readonly event: 'paused';
}

export interface LeftEvent {
  readonly event: 'left';
  readonly federation: Sha256;
}

/** All rounds are done, and the last adapter is adopted. */
export interface FinishedEvent {
  readonly event: 'finished';
  readonly rounds: number;
  readonly adapter: Sha256;
  readonly folder: string | null;
  readonly bytesSent: number;
  readonly bytesReceived: number;
}

export type ParticipantEvent =
  | StartedEvent
  | AggregatorFoundEvent
  | MemberEvent
  | TrainingEvent
  | StepEvent
  | TrainedEvent
  | ResumedEvent
  | UpdateAcceptedEvent
  | UpdateRefusedEvent
  | ReceiptVerifiedEvent
  | ReceiptRefusedEvent
  | LogCheckedEvent
  | AdoptedEvent
  | RetryingEvent
  | PausedEvent
  | LeftEvent
  | FinishedEvent;
