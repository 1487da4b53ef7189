/**
 * The policy: a frozen checkpoint with a LoRA adapter, asked for log-probabilities of pairs and for the gradient of
 * the preference loss.
 *
 * Pairs run in micro-batches of like length; the gradient of a batch is the sum over its micro-batches. Sums of
 * log-probabilities and losses are float64, over float32 log-probabilities of tokens.
 */

import { CompiledGraphs, keptGraphs } from '../engine/compiledGraphs.ts';
import type { Device } from '../engine/device.ts';
import type { Executable, Executor, Precision } from '../engine/executor.ts';
import { openExecutor } from '../engine/openExecutor.ts';
import type { Checkpoint } from '../model/checkpoint.ts';
import { exceedsWindow } from '../model/layerMasks.ts';
import { adapterVectorLength, adapterVectorTable, type AdapterLayout } from './adapterVector.ts';
import { planMicroBatches, tokensRun, type MicroBatch, type TokensRun } from './microBatches.ts';
import { scoringGraph, trainingGraph, type PreferenceModel } from './preferenceGraph.ts';
import { batchLoss, type LossName, type LossTerms } from './preferenceLoss.ts';
import { layOutPairs, type RowLayout } from './preferenceRows.ts';

export type { AdapterLayout } from './adapterVector.ts';

/** One pair as token ids. Scored positions are the completion's tokens, its end token included. */
export interface TokenizedPair {
  readonly id: string;
  /** At least one token: the first completion token is predicted from the last prompt token. */
  readonly prompt: readonly number[];
  readonly chosen: readonly number[];
  readonly rejected: readonly number[];
}

export interface PolicyOptions {
  readonly checkpoint: Checkpoint;
  readonly layout: AdapterLayout;
  /** LoRA scale, `alpha / rank`. */
  readonly scale: number;
  readonly device?: Device | undefined;
  readonly threads?: number | undefined;
  /** Where weight files are linked for the runtime; a temporary folder if absent. */
  readonly cacheFolder?: string | undefined;
  /** How many scored positions the head handles at once. */
  readonly headChunk?: number;
  /** Most tokens that run at once, padding included: bounds memory. */
  readonly tokenBudget?: number;
  /** Computes each layer's activations again in the backward pass: less than half the memory, a quarter more time. */
  readonly activationCheckpointing?: boolean;
  /** What activations are held in, float32 if absent; log-probabilities, losses and the adapter always are. */
  readonly precision?: Precision | undefined;
  /** Whether a pair's completions share one pass over its prompt (`shared`, the default) or have a row each. */
  readonly rows?: RowLayout;
}

export interface PairLogProbs {
  /** Summed log-probabilities in nats, one per pair. */
  readonly chosen: Float64Array;
  readonly rejected: Float64Array;
  /** Scored tokens of the chosen completions. */
  readonly chosenTokens: Int32Array;
}

export interface PolicyGradient {
  /** Of the given pairs alone, in nats. */
  readonly loss: number;
  readonly gradient: Float32Array;
  /** Summed log-probabilities in nats, one per pair. */
  readonly chosen: Float64Array;
  readonly rejected: Float64Array;
}

/** What the means of a loss go over. */
export interface BatchExtent {
  readonly pairs: number;
  /** Tokens of all chosen completions. */
  readonly chosenTokens: number;
}

/** The extent of a batch that is just these pairs. */
export function extentOf(pairs: readonly TokenizedPair[]): BatchExtent {
  return { pairs: pairs.length, chosenTokens: pairs.reduce((sum, { chosen }) => sum + chosen.length, 0) };
}

/** Scored positions whose logits of one block of the vocabulary are held at once: 17 MB. */
export const HEAD_CHUNK = 1024;

/** A SmolLM2-135M step of this many tokens peaks at about 4 GB. */
export const TOKEN_BUDGET = 1536;

/**
 * What half precision multiplies the loss of a pair by, and divides the gradient by again: its smallest numbers are
 * 6e-8, and a gradient's elements would be lost among them.
 */
const HALF_GRADIENT_SCALE = 16;

/** Compiled graphs kept at once: enough for the shapes of one set of pairs. */
const KEPT_GRAPHS = 12;

export class Policy implements AsyncDisposable {
  readonly parameterCount: number;
  readonly #executor: Executor;
  readonly #model: PreferenceModel;
  readonly #graphs: CompiledGraphs;
  readonly #rows: RowLayout;
  readonly #tokenBudget: number;
  #trained: TokensRun = { real: 0, run: 0 };
  readonly #gradientScale: number;

  private constructor(options: PolicyOptions, executor: Executor) {
    const { checkpoint, layout, scale, headChunk = HEAD_CHUNK, activationCheckpointing = false } = options;
    const { tokenBudget = TOKEN_BUDGET, rows = 'shared' } = options;
    this.parameterCount = adapterVectorLength(adapterVectorTable(checkpoint.config, layout));
    this.#model = { checkpoint, layout, scale, headChunk, activationCheckpointing };
    this.#executor = executor;
    this.#rows = rows;
    this.#tokenBudget = tokenBudget;
    this.#graphs = new CompiledGraphs(executor, keptGraphs(executor.device, checkpoint.tensors.values(), KEPT_GRAPHS), {
      precision: options.precision,
      brisk: true,
    });
    this.#gradientScale = options.precision === 'float16' ? HALF_GRADIENT_SCALE : 1;
  }

  /** @throws DEVICE_UNAVAILABLE, DEVICE_WRONG, ENGINE_FAILED; PRECISION_UNSUPPORTED shows in the first run */
  static async open(options: PolicyOptions): Promise<Policy> {
    return new Policy(options, await openExecutor({ ...options, packing: options.checkpoint.quantized?.scheme }));
  }

  /** Tokens of pairs that were run for gradients so far, and how many ran with the padding. */
  get trainedTokens(): { readonly real: number; readonly run: number } {
    return this.#trained;
  }

  /** Compiles what a step over these pairs will run, so that the first one takes no longer than the others. */
  async prepare(pairs: readonly TokenizedPair[], loss: LossName): Promise<void> {
    for (const part of this.#plan(pairs)) await this.#training(part, loss);
  }

  /** Log-probabilities per pair. `adapter` null is the bare base: the same graph with the adapter at zero. */
  async logProbs(
    pairs: readonly TokenizedPair[],
    adapter: Float32Array | null,
    options: { signal?: AbortSignal } = {},
  ): Promise<PairLogProbs> {
    const sums = new PairSums(pairs);
    for (const batch of this.#plan(pairs)) {
      const { shape } = batch;
      const graph = await this.#graphs.get(keyOf('score', batch), () => scoringGraph(this.#model, shape));
      const rows = layOutPairs(heldBy(batch, pairs), shape);
      const feeds = { ...rows, adapter: adapter ?? new Float32Array(this.parameterCount) };
      const { logProbs } = await graph.run(feeds, options);
      sums.take(batch, pairs, logProbs!);
    }
    return { chosen: sums.chosen, rejected: sums.rejected, chosenTokens: sums.chosenTokens };
  }

  /**
   * The loss that `terms` name and its gradient by the flat adapter vector; values before any update. With `batch`,
   * the pairs are a part of a larger batch, and the gradient is their share of that batch's: shares add up.
   */
  async lossAndGradient(
    pairs: readonly TokenizedPair[],
    adapter: Float32Array,
    reference: { readonly chosen: Float64Array; readonly rejected: Float64Array },
    terms: LossTerms,
    { batch = extentOf(pairs), ...options }: { batch?: BatchExtent; signal?: AbortSignal } = {},
  ): Promise<PolicyGradient> {
    const { beta } = terms;
    const sftWeight = terms.sftWeight ?? 0;
    const scale = this.#gradientScale === 1 ? 1 : this.#gradientScale * batch.pairs;
    const sums = new PairSums(pairs);
    const plan = this.#plan(pairs);
    // A part alone is its own sum.
    const total = plan.length === 1 && scale === 1 ? undefined : new Float64Array(this.parameterCount);
    let whole: Float32Array | undefined;
    const { real, run } = tokensRun(plan, pairs);
    this.#trained = { real: this.#trained.real + real, run: this.#trained.run + run };
    for (const part of plan) {
      const { shape, members } = part;
      const graph = await this.#training(part, terms.loss);
      const perPair = (value: (pair: number) => number): Float32Array =>
        Float32Array.from({ length: shape.pairs }, (_, i) => (i < members.length ? value(members[i]!) : 0));
      const { logProbs, gradient } = await graph.run(
        {
          ...layOutPairs(heldBy(part, pairs), shape),
          adapter,
          beta: Float32Array.of(beta),
          labelSmoothing: Float32Array.of(terms.labelSmoothing ?? 0),
          referenceChosen: perPair((i) => reference.chosen[i]!),
          referenceRejected: perPair((i) => reference.rejected[i]!),
          chosenShare: perPair((i) => 1 / pairs[i]!.chosen.length),
          rejectedShare: perPair((i) => 1 / pairs[i]!.rejected.length),
          weights: perPair(() => scale / batch.pairs),
          sftWeights: perPair(() => (scale * sftWeight) / batch.chosenTokens),
        },
        options,
      );
      sums.take(part, pairs, logProbs!);
      if (total === undefined) whole = gradient as Float32Array;
      else for (let i = 0; i < total.length; i++) total[i]! += gradient![i]! / scale;
    }
    const { chosen, rejected } = sums;
    const { loss } = batchLoss(terms, pairs, sums, reference);
    return { loss, gradient: whole ?? new Float32Array(total!), chosen, rejected };
  }

  #training(part: MicroBatch, loss: LossName): Promise<Executable> {
    return this.#graphs.get(keyOf(`train ${loss}`, part), () => trainingGraph(this.#model, part.shape, loss));
  }

  /** A pair that outgrows the model's attention window has rows of its own: the shared prompt's mask knows no window. */
  #plan(pairs: readonly TokenizedPair[]): MicroBatch[] {
    const { config } = this.#model.checkpoint;
    const layoutOf = ({ prompt, chosen, rejected }: TokenizedPair): RowLayout =>
      exceedsWindow(config, prompt.length + Math.max(chosen.length, rejected.length)) ? 'apart' : this.#rows;
    return planMicroBatches(pairs, layoutOf, this.#tokenBudget);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#executor[Symbol.asyncDispose]();
  }
}

/** Sums of token log-probabilities, gathered from micro-batches in any order. */
class PairSums {
  readonly chosen: Float64Array;
  readonly rejected: Float64Array;
  readonly chosenTokens: Int32Array;

  constructor(pairs: readonly TokenizedPair[]) {
    this.chosen = new Float64Array(pairs.length);
    this.rejected = new Float64Array(pairs.length);
    this.chosenTokens = Int32Array.from(pairs, ({ chosen }) => chosen.length);
  }

  /** `logProbs` `[scored]`: the tokens of the chosen completions, then those of the rejected ones. */
  take({ members }: MicroBatch, pairs: readonly TokenizedPair[], logProbs: ArrayLike<number>): void {
    let next = 0;
    const sumOf = (count: number): number => {
      let sum = 0;
      for (const end = next + count; next < end; next++) sum += logProbs[next]!;
      return sum;
    };
    for (const member of members) this.chosen[member] = sumOf(pairs[member]!.chosen.length);
    for (const member of members) this.rejected[member] = sumOf(pairs[member]!.rejected.length);
  }
}

function heldBy({ members }: MicroBatch, pairs: readonly TokenizedPair[]): TokenizedPair[] {
  return members.map((member) => pairs[member]!);
}

function keyOf(kind: string, { shape }: MicroBatch): string {
  return `${kind} ${Object.values(shape).join(' ')}`;
}
