/**
 * Inner products of all pairs of updates, in the metric of the products. Most robust rules need nothing else of their
 * inputs to decide how much each counts: distances, lengths, and lengths of weighted sums follow from it.
 *
 * Takes n²/2 multiplications a coordinate. Exact but for float64's rounding, in a fixed order.
 */
import { blocks } from './blocks.ts';
import { whitenedTensors, whitenVector, type WhitenedTensor } from './productMetric.ts';
import type { RuleInputs } from './rule.ts';

/** `[n, n]` row-major, in units of 2^(-2 · bits). */
export function productGram(inputs: RuleInputs): Float64Array {
  const { count } = inputs;
  const tensors = whitenedTensors(inputs);
  const gram = new Float64Array(count * count);
  let next = 0;
  const ends = tensors.map(({ start, size }) => start + size);
  for (const { start, slices } of blocks(inputs, ends)) {
    const end = start + slices[0]!.length;
    for (; next < tensors.length && tensors[next]!.start < end; next++) addTensor(gram, slices, tensors[next]!, start);
  }
  for (let i = 0; i < count; i++) for (let j = 0; j < i; j++) gram[j * count + i] = gram[i * count + j]!;
  return gram;
}

/** Adds a tensor's share to the lower triangle; `slices` begin at coordinate `origin`. */
function addTensor(gram: Float64Array, slices: readonly Int32Array[], tensor: WhitenedTensor, origin: number): void {
  const { vectors, rank, start, stride } = tensor;
  const count = slices.length;
  const rows = slices.map(() => new Float64Array(rank));
  for (let v = 0; v < vectors; v++) {
    const at = start - origin + v * stride;
    for (const [i, slice] of slices.entries()) whitenVector(slice, at, tensor, rows[i]!);
    for (let i = 0; i < count; i++) {
      const a = rows[i]!;
      for (let j = 0; j <= i; j++) {
        const b = rows[j]!;
        let sum = 0;
        for (let k = 0; k < rank; k++) sum += a[k]! * b[k]!;
        gram[i * count + j]! += sum;
      }
    }
  }
}

/** Squared distance of updates i and j; never below zero. */
export function squaredDistance(gram: Float64Array, count: number, i: number, j: number): number {
  return Math.max(0, gram[i * count + i]! - 2 * gram[i * count + j]! + gram[j * count + j]!);
}

/** Squared distance of update i from the weighted sum of all. `weighted[j]` is `Σ_k weights[k] · gram[j, k]`. */
export function squaredDistanceFromSum(
  gram: Float64Array,
  count: number,
  i: number,
  weighted: Float64Array,
  squaredSum: number,
): number {
  return Math.max(0, gram[i * count + i]! - 2 * weighted[i]! + squaredSum);
}

/** `gram · weights`. */
export function timesWeights(gram: Float64Array, weights: Float64Array): Float64Array {
  const count = weights.length;
  const product = new Float64Array(count);
  for (let i = 0; i < count; i++) {
    let sum = 0;
    for (let j = 0; j < count; j++) sum += gram[i * count + j]! * weights[j]!;
    product[i] = sum;
  }
  return product;
}

/** Inner product of two short vectors. */
export function dot(a: Float64Array, b: Float64Array): number {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += a[i]! * b[i]!;
  return sum;
}
