/**
 * Training of all weights of a Llama-family model by next-token cross-entropy: how the embedded model is made.
 *
 * Weights live in one flat vector, which is fed to the graph at every step; the gradient comes back as one vector of
 * the same layout. The optimiser is the caller's.
 */

import type { Executable, Executor } from '../engine/executor.ts';
import { sizeOf, shapeText } from '../engine/graph.ts';
import { OnnxRuntimeExecutor } from '../engine/onnxruntime.ts';
import type { ModelConfig } from '../model/config.ts';
import { expectedTensors } from '../model/weights.ts';
import { initialWeights } from './initialWeights.ts';
import { languageModelGraph } from './languageModelGraph.ts';

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

export class LanguageModelTrainer {
  /** All weights, one after the other; update it in place. */
  readonly parameters: Float32Array;
  /** Hugging Face names and shapes over `parameters`. */
  readonly weights: readonly NamedWeight[];
  readonly #options: LanguageModelOptions;
  readonly #executor: Executor;
  #training: Promise<Executable> | undefined;
  #scoring: Promise<Executable> | undefined;

  private constructor(
    options: LanguageModelOptions,
    weights: readonly NamedWeight[],
    parameters: Float32Array,
    executor: Executor,
  ) {
    this.#options = options;
    this.weights = weights;
    this.parameters = parameters;
    this.#executor = executor;
  }

  static async create(options: LanguageModelOptions): Promise<LanguageModelTrainer> {
    const table = [...expectedTensors(options.config)];
    const parameters = new Float32Array(table.reduce((total, [, shape]) => total + sizeOf(shape), 0));
    const initial = options.weights ?? initialWeights(options.config, options.seed ?? 0);
    let offset = 0;
    const weights = table.map(([name, shape]) => {
      const data = parameters.subarray(offset, (offset += sizeOf(shape)));
      const values = initial.get(name);
      if (values?.length !== data.length)
        throw new Error(`initial weights: ${name} is missing or not ${shapeText(shape)}`);
      data.set(values);
      return { name, shape, data };
    });
    const executor = await OnnxRuntimeExecutor.open({ threads: options.threads });
    return new LanguageModelTrainer(options, weights, parameters, executor);
  }

  get parameterCount(): number {
    return this.parameters.length;
  }

  /**
   * Mean next-token cross-entropy (nats) over `tokens` `[batch, length + 1]` and its gradient by `parameters`.
   * `mask` `[batch, length]` weighs the predicted positions (1 if absent).
   */
  async lossAndGradient(
    tokens: Int32Array,
    mask?: Float32Array,
    options: { signal?: AbortSignal } = {},
  ): Promise<{ loss: number; gradient: Float32Array }> {
    this.#training ??= this.#executor.compile(languageModelGraph(this.#options, true));
    const { loss, gradient } = await (await this.#training).run(this.#feeds(tokens, mask), options);
    return { loss: loss![0]!, gradient: gradient as Float32Array };
  }

  /** The loss alone. */
  async loss(tokens: Int32Array, mask?: Float32Array, options: { signal?: AbortSignal } = {}): Promise<number> {
    this.#scoring ??= this.#executor.compile(languageModelGraph(this.#options, false));
    const { loss } = await (await this.#scoring).run(this.#feeds(tokens, mask), options);
    return loss![0]!;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#executor[Symbol.asyncDispose]();
  }

  #feeds(tokens: Int32Array, mask: Float32Array | undefined): Record<string, Float32Array | Int32Array> {
    const { batch, length } = this.#options;
    if (tokens.length !== batch * (length + 1))
      throw new Error(`tokens: ${tokens.length} is not ${batch}·${length + 1}`);
    const inputs = new Int32Array(batch * length);
    const targets = new Int32Array(batch * length);
    for (let row = 0; row < batch; row++) {
      const start = row * (length + 1);
      inputs.set(tokens.subarray(start, start + length), row * length);
      targets.set(tokens.subarray(start + 1, start + length + 1), row * length);
    }
    const everywhere = mask ?? new Float32Array(batch * length).fill(1);
    return { parameters: this.parameters, tokens: inputs, targets, mask: everywhere };
  }
}
