/**
 * Causal attention with grouped key and value heads.
 *
 * The query heads that share a key head are folded into the rows of one product, so neither keys nor values are ever
 * repeated, and their gradients sum over the group by themselves. Rows are padded at the end: a causal mask then keeps
 * padding out of every real position.
 */

import { apply, constant, sizeOf, type Application, type Composite, type Constant, type Value } from '../graph.ts';
import { activation } from '../operators/activation.ts';
import { add, multiply, subtract } from '../operators/elementwise.ts';
import { reshape, transpose } from '../operators/layout.ts';
import { matmul } from '../operators/matmul.ts';
import { softmax } from '../operators/softmax.ts';
import { sum } from '../operators/broadcasting.ts';

/** What is added to a score that must not count: far below any score, yet finite, so that no row can become NaN. */
export const MASKED = -1e30;

interface AttentionAttributes {
  readonly heads: number;
  readonly kvHeads: number;
}

const ATTENTION: Composite<AttentionAttributes> = {
  kind: 'composite',
  name: 'attention',
  infer: ([q]) => ({ shape: q!.shape, type: 'float32' }),
  expand(inputs, attributes) {
    const { probabilities, values } = parts(inputs, attributes);
    return unfoldHeads(matmul(probabilities, values), attributes.heads);
  },
  derivative: (node, gradient) => [
    ...attentionSlopes(node.inputs, node.attributes, gradient, alongOutput(gradient, node, node.attributes.heads)),
    null,
  ],
};

/**
 * `q` `[batch, time, heads · headDim]`, `k` and `v` `[batch, time, kvHeads · headDim]`; gives the shape of `q`.
 * `mask` `[time, time]` is added to the scores: see `causalMask`.
 */
export function attention(
  q: Value,
  k: Value,
  v: Value,
  mask: Value,
  { heads, kvHeads }: AttentionAttributes,
): Application<AttentionAttributes> {
  return apply(ATTENTION, [q, k, v, mask], { heads, kvHeads });
}

/**
 * By `q`, `k` and `v`. With P = softmax(S) and O = P V: dS = P ∘ (dP - rowsum(dO ∘ O)); `along` is that sum, see
 * `alongOutput`.
 */
export function attentionSlopes(
  inputs: readonly Value[],
  { heads, kvHeads }: AttentionAttributes,
  gradient: Value,
  along: Value,
): [q: Value, k: Value, v: Value] {
  const { queries, keys, values, probabilities, scale } = parts(inputs, { heads, kvHeads });
  const forOutput = foldHeads(gradient, heads, kvHeads);
  const forProbabilities = matmul(forOutput, values, { transposeB: true });
  const forScores = multiply(probabilities, subtract(forProbabilities, foldHeads(along, heads, kvHeads)));
  const forQueries = matmul(forScores, keys, { alpha: scale });
  const forKeys = matmul(forScores, queries, { transposeA: true, alpha: scale });
  const forValues = matmul(probabilities, forOutput, { transposeA: true });
  return [unfoldHeads(forQueries, heads), unfoldHeads(forKeys, kvHeads), unfoldHeads(forValues, kvHeads)];
}

/**
 * For each head of each token, the sum of its part of `gradient ∘ output`, both `[batch, time, heads · headDim]`:
 * `[batch, time, heads]`. Of the output in this form, which the next projection keeps anyway, and not as it is folded.
 */
export function alongOutput(gradient: Value, output: Value, heads: number): Value {
  const [batch, time, total] = gradient.shape as [number, number, number];
  const split = reshape(multiply(gradient, output), [batch, time, heads, total / heads]);
  return reshape(sum(split, [-1]), [batch, time, heads]);
}

/**
 * `[time, time]`: 0 where the query sees the key, else `MASKED`. It sees no later key and, with a window, only the last
 * so many, its own included.
 */
export function causalMask(time: number, window = time): Constant {
  const entry = (query: number, key: number) => (key > query || query - key >= window ? MASKED : 0);
  return constant(
    Float32Array.from({ length: time * time }, (_, i) => entry(Math.floor(i / time), i % time)),
    [time, time],
  );
}

/** `[batch, time, heads · width]` to `[batch, kvHeads, (heads / kvHeads) · time, width]`. */
export function foldHeads(x: Value, heads: number, kvHeads: number): Value {
  const [batch, time, total] = x.shape as [number, number, number];
  const group = heads / kvHeads;
  const split = reshape(x, [batch, time, kvHeads, group, total / heads]);
  return reshape(transpose(split, [0, 2, 3, 1, 4]), [batch, kvHeads, group * time, total / heads]);
}

/** The inverse of `foldHeads`. */
export function unfoldHeads(x: Value, heads: number): Value {
  const [batch, kvHeads, rows, width] = x.shape as [number, number, number, number];
  const group = heads / kvHeads;
  const split = reshape(x, [batch, kvHeads, group, rows / group, width]);
  return reshape(transpose(split, [0, 3, 1, 2, 4]), [batch, rows / group, heads * width]);
}

function parts([q, k, v, mask]: readonly Value[], { heads, kvHeads }: AttentionAttributes) {
  const queries = foldHeads(q!, heads, kvHeads);
  const keys = foldHeads(k!, kvHeads, kvHeads);
  const values = foldHeads(v!, kvHeads, kvHeads);
  const scale = 1 / Math.sqrt(queries.shape.at(-1)!);
  const scores = matmul(queries, keys, { transposeB: true, alpha: scale });
  const [batch, time] = q!.shape as [number, number, number];
  const grouped = reshape(scores, [
    batch,
    kvHeads,
    heads / kvHeads,
    time,
    sizeOf(scores.shape) / (batch * heads * time),
  ]);
  const probabilities = activation(reshape(softmax(add(grouped, mask!)), scores.shape));
  return { queries, keys, values, probabilities, scale };
}
