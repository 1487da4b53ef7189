import type { ModelConfig } from '../model/config.ts';

export interface LanguageModelOptions {
  readonly config: ModelConfig;
  /** Seed of the initial weights; not used when `weights` is given. */
  readonly seed?: number;
  /** Initial weights by Hugging Face name, instead of seeded ones. */
  readonly weights?: ReadonlyMap<string, Float32Array>;
  /** Sequences of one step. */
  readonly batch: number;
  /** Predicted positions of one sequence. */
  readonly length: number;
  readonly threads?: number;
}

export interface NamedWeight {
  readonly name: string;
  readonly shape: readonly number[];
  /** A view into the trainer's flat vector. */
  readonly data: Float32Array;
}

export declare class LanguageModelTrainer {
  static create(options: LanguageModelOptions): Promise<LanguageModelTrainer>;
  readonly parameterCount: number;
  /** All weights, one after the other; update it in place. */
  readonly parameters: Float32Array;
  /** Hugging Face names and shapes over `parameters`. */
  readonly weights: readonly NamedWeight[];
  /**
   * Mean next-token cross-entropy (nats) over `tokens` `[batch, length + 1]` and its gradient by `parameters`.
   * `mask` `[batch, length]` weighs the predicted positions (1 if absent).
   */
  lossAndGradient(
    tokens: Int32Array,
    mask?: Float32Array,
    options?: { signal?: AbortSignal },
  ): Promise<{ loss: number; gradient: Float32Array }>;
  /** The loss alone. */
  loss(tokens: Int32Array, mask?: Float32Array, options?: { signal?: AbortSignal }): Promise<number>;
  [Symbol.asyncDispose](): Promise<void>;
}
