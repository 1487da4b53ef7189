/**
 * How much memory a model takes: an estimate from its dimensions, before anything is loaded.
 *
 * Training, in bytes of resident memory at the peak, for a micro-batch of `pairs` rows of N = pairs · (P + 2C) tokens
 * (P and C are the most tokens of a prompt and of an answer), L layers, hidden width h, feed-forward width f, query
 * width q = heads · headDim, key width k = kvHeads · headDim, vocabulary V:
 *
 *   linear  = 4 N (2f + 4h + 3q + 2k)                    what a layer's projections and norms keep for the backward pass
 *   scores  = 4 pairs · heads · (P² + 2C (P + C))        a layer's attention probabilities
 *   kept    = (L − 1) · linear + L · scores              of the whole forward pass,
 *             or 4 N h L + linear                        with activation checkpointing
 *   working = 6 · scores                                 copies of the scores while one layer's gradient is computed
 *   logits  = 4 min(V, block) · min(chunk, 2 pairs · C) · 2 + 4 V h   of one block, and the head cut in blocks
 *   peak    = program + L · graph + weights + kept + working + logits
 *
 * `weights` is 4 bytes for each, mapped, not copied: half precision is widened on disk first. A 4-bit base takes 4.5
 * bits (NF4) or 5 bits (int4) a weight of the projections, and four tenths of their float32 size again, for those that
 * are unpacked at a time.
 *
 * The constants are fitted to the processor by `scripts/bench/peakMemory.ts`; `test/node/training/memory.test.ts` holds
 * the formula against what that measured, and states its error.
 */
import { HEAD_BLOCK } from '../engine/composites/tokenLogProbs.ts';
import type { ModelConfig } from '../model/config.ts';
import { projectionShape, TARGET_MODULES } from '../model/projections.ts';
import type { QuantizationScheme } from '../model/quantization/scheme.ts';

/** Node, the runtime and its threads. */
const PROGRAM = 210 * 2 ** 20;

/** A layer's nodes, forward and backward, as the runtime holds them. */
const GRAPH_OF_LAYER = 4 * 2 ** 20;

/** Largest error of the estimates below, as a share, over the measured cases. */
export const MEMORY_ERROR = 0.1;

const BITS_PER_WEIGHT: Readonly<Record<QuantizationScheme, number>> = { nf4: 4.5, int4: 5 };
const UNPACKED_AT_A_TIME = 0.4;

/** What is trained on at once. */
export interface TrainingExtents {
  /** Pairs of a micro-batch. */
  readonly pairs: number;
  /** Most tokens of a prompt, and of an answer. */
  readonly prompt: number;
  readonly completion: number;
  readonly activationCheckpointing: boolean;
  readonly base?: QuantizationScheme | undefined;
  /** Scored positions that the head handles at once. */
  readonly headChunk: number;
}

export interface MemoryParts {
  readonly weights: number;
  readonly activations: number;
  readonly logits: number;
  /** The whole process at its peak, everything included. */
  readonly peak: number;
}

/** Of a step on the processor, whatever precision the checkpoint is stored in. */
export function trainingMemory(config: ModelConfig, extents: TrainingExtents): MemoryParts {
  const { pairs, prompt, completion, activationCheckpointing, headChunk } = extents;
  const { layers, hiddenSize: h, intermediateSize: f, heads, kvHeads, headDim, vocabSize } = config;
  const tokens = pairs * (prompt + 2 * completion);
  const linear = 4 * tokens * (2 * f + 4 * h + 3 * heads * headDim + 2 * kvHeads * headDim);
  const scores = 4 * pairs * heads * (prompt ** 2 + 2 * completion * (prompt + completion));
  const kept = activationCheckpointing ? 4 * tokens * h * layers + linear : (layers - 1) * linear + layers * scores;
  const activations = kept + 6 * scores;
  const scored = 2 * pairs * completion;
  const logits = 8 * Math.min(vocabSize, HEAD_BLOCK) * Math.min(headChunk, scored) + 4 * vocabSize * h;
  const weights = heldWeights(config, extents.base);
  const peak = PROGRAM + layers * GRAPH_OF_LAYER + weights + activations + logits;
  return { weights, activations, logits, peak };
}

function heldWeights(config: ModelConfig, base: QuantizationScheme | undefined): number {
  const { projections, other } = parameterCounts(config);
  const perProjection = base === undefined ? 4 : BITS_PER_WEIGHT[base] / 8 + 4 * UNPACKED_AT_A_TIME;
  return 4 * other + perProjection * projections;
}

/** How many numbers a model has, by part. */
export function parameterCounts(config: ModelConfig): {
  readonly embedding: number;
  readonly head: number;
  readonly attention: number;
  readonly feedForward: number;
  readonly norms: number;
  readonly projections: number;
  readonly other: number;
} {
  const { layers, hiddenSize, headDim, vocabSize, tiedHead, queryKeyNorm, biases } = config;
  const sizes = TARGET_MODULES.map((target) => {
    const [out, width] = projectionShape(config, target);
    return { target, weights: out * width, biases: biases.includes(target) ? out : 0 };
  });
  const sum = (numbers: readonly number[]) => numbers.reduce((total, each) => total + each, 0);
  const isAttention = ({ target }: { readonly target: string }) => /^[qkvo]_proj$/.test(target);
  const all = ({ weights, biases: own }: { readonly weights: number; readonly biases: number }) => weights + own;
  const embedding = vocabSize * hiddenSize;
  const head = tiedHead ? 0 : embedding;
  const attention = layers * sum(sizes.filter(isAttention).map(all));
  const feedForward = layers * sum(sizes.filter((one) => !isAttention(one)).map(all));
  const norms = layers * (2 * hiddenSize + (queryKeyNorm ? 2 * headDim : 0)) + hiddenSize;
  const projections = layers * sum(sizes.map(({ weights }) => weights));
  const other = embedding + head + attention + feedForward + norms - projections;
  return { embedding, head, attention, feedForward, norms, projections, other };
}
