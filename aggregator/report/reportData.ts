/**
 * What a report page is made of. Every figure is given; the page computes nothing but sums, so that it shows what was
 * measured and where each number came from.
 */
import type { Proportion } from '../../node/evaluation/intervals.ts';
import type { WinRate } from '../../node/evaluation/winRate.ts';

/** The figures of one adapter (or of the bare base) on the global evaluation set. */
export interface ReportFigures {
  readonly accuracy: Proportion;
  /** Accuracy apart for each taste, by its name. */
  readonly byTaste: Readonly<Record<string, Proportion>>;
  /** Over the bare base; null where none was measured. */
  readonly winRate: WinRate | null;
  /** Of the chosen answers, per token. */
  readonly perplexity: number;
}

export interface ReportRound {
  /** Counted from 1. */
  readonly round: number;
  readonly factor: 'A' | 'B' | 'both';
  readonly outcome: 'published' | 'skipped';
  /** Of the global adapter that stands after this round. */
  readonly figures: ReportFigures;
  /** Bytes that each participant sent in this round, by its name. */
  readonly bytesSent: Readonly<Record<string, number>>;
  /** DPO loss of each optimiser step in this round, by participant. */
  readonly losses: Readonly<Record<string, readonly number[]>>;
}

/** One line of the final table. */
export interface ReportResult {
  readonly name: string;
  /** `alone`: trained on one participant's pairs only, with the federation's terms and as many steps. */
  readonly kind: 'base' | 'alone' | 'federated';
  readonly figures: ReportFigures;
}

export interface ReportReceipt {
  readonly round: number;
  /** SHA-256 of the signed receipt, hexadecimal. */
  readonly receipt: string;
  /** SHA-256 of the adapter it stands for, hexadecimal. */
  readonly output: string;
  readonly accepted: number;
  readonly refused: number;
  /** How many participants verified it before adopting the adapter. */
  readonly verifiedBy: number;
}

export interface ReportSetting {
  /** Processor, cores, memory, operating system, Node: what the times were measured on. */
  readonly machine: string;
  readonly device: string;
  readonly seed: number;
  /** When the run began, ISO 8601. */
  readonly started: string;
  readonly seconds: number;
  readonly baseModel: string;
  /** SHA-256 of the base model, hexadecimal. */
  readonly baseModelHash: string;
  readonly rule: string;
  /** Pairs in the global evaluation set, and private pairs of each participant by its name. */
  readonly evaluationPairs: number;
  readonly participantPairs: Readonly<Record<string, number>>;
  /** Who judged the win rate and what it looks for; null where none did. */
  readonly judge: { readonly name: string; readonly description: string } | null;
}

export interface ReportData {
  readonly federation: { readonly name: string; readonly id: string };
  readonly setting: ReportSetting;
  /** The figures of the bare base, where the curves begin. */
  readonly base: ReportFigures;
  readonly rounds: readonly ReportRound[];
  /** Base first, then each participant alone, then the federated adapter. */
  readonly results: readonly ReportResult[];
  readonly receipts: readonly ReportReceipt[];
}
