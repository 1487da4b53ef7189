import type { Device } from '../engine/device.ts';
import type { Checkpoint } from '../model/checkpoint.ts';
import type { AdapterLayout } from './adapterVector.ts';

export type { AdapterLayout, AdapterVectorEntry, TargetModule } from './adapterVector.ts';

/** One pair as token ids. Scored positions are the completion's tokens, its end token included. */
export interface TokenizedPair {
  readonly id: string;
  readonly prompt: readonly number[];
  readonly chosen: readonly number[];
  readonly rejected: readonly number[];
}

export interface PolicyOptions {
  readonly checkpoint: Checkpoint;
  readonly layout: AdapterLayout;
  /** LoRA scale, `alpha / rank`. */
  readonly scale: number;
  readonly device?: Device;
  readonly threads?: number;
  /** Where compiled graphs and weight files may be kept between runs; a temporary folder if absent. */
  readonly cacheFolder?: string;
  /** How many scored positions the head handles at once. */
  readonly headChunk?: number;
}

export interface PairLogProbs {
  readonly chosen: Float64Array;
  readonly rejected: Float64Array;
  readonly chosenTokens: Int32Array;
}

export interface PolicyGradient {
  readonly loss: number;
  readonly gradient: Float32Array;
  readonly chosen: Float64Array;
  readonly rejected: Float64Array;
  readonly tokens: number;
}

export declare class Policy {
  static open(options: PolicyOptions): Promise<Policy>;
  readonly parameterCount: number;
  /** Summed log-probabilities in nats, per pair. `adapter` null is the bare base. */
  logProbs(
    pairs: readonly TokenizedPair[],
    adapter: Float32Array | null,
    options?: { signal?: AbortSignal },
  ): Promise<PairLogProbs>;
  /** Mean DPO loss over the pairs and its gradient by the flat adapter vector; values before any update. */
  lossAndGradient(
    pairs: readonly TokenizedPair[],
    adapter: Float32Array,
    reference: { chosen: Float64Array; rejected: Float64Array },
    terms: { beta: number },
    options?: { signal?: AbortSignal },
  ): Promise<PolicyGradient>;
  [Symbol.asyncDispose](): Promise<void>;
}
