/**
 * A change of a factor that the other factor maps to next to nothing: the product, by which rules measure, hardly
 * moves now, and everything that the other factor learns later is multiplied with rubbish.
 *
 * In a round of one factor the other is fixed and the same for all. Each vector of the change (row of B, column of A)
 * lies along the eigenvector of `A·Aᵀ` or `Bᵀ·B` with the smallest eigenvalue. Where both factors are sent, the change
 * takes B to zero and A to rubbish: a product of zero.
 */
import { whitenedTensors, type WhitenedTensor } from '../../protocol/aggregation/productMetric.ts';
import { sha256 } from '../../protocol/names.ts';
import { factorOfTensor } from '../../protocol/update.ts';
import { valueCount } from '../../protocol/tensorBlob.ts';
import type { Attack, AttackedRound } from './attack.ts';
import { normal, updateOf } from './direction.ts';
import { asLongAsIsTaken } from './longestTaken.ts';

/** How much longer than A the rubbish is where both factors are sent. */
const RUBBISH = 100;

export const nullProduct: Attack = {
  label: 'a factor changed where the other maps it to nothing',
  kind: 'tuned',
  update: (round) =>
    round.factor === 'both'
      ? updateOf(nothingTimesRubbish(round), round)
      : updateOf(asLongAsIsTaken(alongWeakest(round), round), round),
};

function alongWeakest({ honest, parent, factor, random, parameters }: AttackedRound): Float64Array {
  const [{ table, values }] = honest as [AttackedRound['honest'][number]];
  const change = new Float64Array(values.length);
  const inputs = { updates: [], count: 0, length: values.length, table, parent, factor, parameters };
  for (const tensor of whitenedTensors({ ...inputs, seed: sha256(Buffer.from('')) })) {
    const { start, vectors, rank, step, stride } = tensor;
    const weakest = weakestDirection(tensor);
    for (let v = 0; v < vectors; v++) {
      const amount = normal(random);
      for (let i = 0; i < rank; i++) change[start + v * stride + i * step] = amount * weakest[i]!;
    }
  }
  return change;
}

const ITERATIONS = 500;

/** The eigenvector of `L·Lᵀ` with the smallest eigenvalue: power iteration on `trace · I − L·Lᵀ`. Length 1. */
export function weakestDirection({ rank, root }: Pick<WhitenedTensor, 'rank' | 'root'>): Float64Array {
  let direction = Float64Array.from({ length: rank }, (_, i) => 1 + i / rank);
  if (root === null) return direction.map((value) => value / Math.hypot(...direction));
  const trace = root.reduce((sum, value) => sum + value * value, 0);
  for (let n = 0; n < ITERATIONS; n++) {
    // Lᵀ·x, then L times that.
    const mapped = new Float64Array(rank);
    for (let i = 0; i < rank; i++) for (let j = 0; j <= i; j++) mapped[j]! += root[i * rank + j]! * direction[i]!;
    const next = direction.map((value, i) => {
      let sum = 0;
      for (let j = 0; j <= i; j++) sum += root[i * rank + j]! * mapped[j]!;
      return trace * value - sum;
    });
    const length = Math.hypot(...next);
    if (length === 0) return direction;
    direction = next.map((value) => value / length);
  }
  return direction;
}

function nothingTimesRubbish({ parent, random }: AttackedRound): Float64Array {
  const change = new Float64Array(parent.values.length);
  let at = 0;
  for (const tensor of parent.table) {
    const end = at + valueCount(tensor);
    const usual = factorOfTensor(tensor.name) === 'A' ? rootMeanSquare(parent.values.subarray(at, end)) : 0;
    for (; at < end; at++) change[at] = RUBBISH * usual * normal(random) - parent.values[at]!;
  }
  return change;
}

function rootMeanSquare(values: Int32Array): number {
  return Math.sqrt(values.reduce((sum, value) => sum + value * value, 0) / values.length);
}
