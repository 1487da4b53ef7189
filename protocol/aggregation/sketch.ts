/**
 * Short sketches of updates, from which distances between all pairs are estimated.
 *
 * All distances among n updates take n²/2 products a coordinate; to say who is near whom, estimates will do. Of every
 * tensor, rows of a B (columns of an A) are added up, with random signs, into a few buckets: a count sketch (Charikar
 * et al. 2002). It is taken along the axis that the metric of the products leaves alone, so it is a sum of integers,
 * exact and the same everywhere, and the metric is applied to the few sums instead of to all rows. The expected
 * squared distance of two sketches is that of the two updates.
 *
 * Buckets and signs come from the hash of all updates of the round: nobody can shape an update to be invisible to
 * them without knowing all the others.
 */
import { createHash } from 'node:crypto';
import type { Sha256 } from '../names.ts';
import { whitenedTensors, whitenVector, type WhitenedTensor } from './productMetric.ts';
import type { RuleInputs } from './rule.ts';

/** Sums kept of each tensor. With a hundred tensors, distances are right to a few percent. */
const BUCKETS = 32;

/** Sketches in the order of the updates, each of the same length. One pass over the updates. */
export function sketches(inputs: RuleInputs): Float64Array[] {
  const tensors = whitenedTensors(inputs);
  const plans = tensors.map((tensor, i) => planOf(tensor, inputs.seed, i));
  const length = plans.reduce((total, { buckets }, i) => total + buckets * tensors[i]!.rank, 0);
  return Array.from(inputs.updates, (values) => {
    const sketch = new Float64Array(length);
    let at = 0;
    for (const [i, tensor] of tensors.entries()) {
      const { buckets } = plans[i]!;
      const sums = sumsOf(values, tensor, plans[i]!);
      const whole = { ...tensor, step: 1 };
      for (let bucket = 0; bucket < buckets; bucket++, at += tensor.rank) {
        whitenVector(sums, bucket * tensor.rank, whole, sketch.subarray(at, at + tensor.rank));
      }
    }
    return sketch;
  });
}

/** Squared distance of two sketches. */
export function squaredSketchDistance(a: Float64Array, b: Float64Array): number {
  let sum = 0;
  for (let i = 0; i < a.length; i++) {
    const difference = a[i]! - b[i]!;
    sum += difference * difference;
  }
  return sum;
}

interface SketchPlan {
  readonly buckets: number;
  /** For each vector of the tensor twice its bucket, plus one where its sign is negative. */
  readonly places: Uint8Array;
}

/** A tensor with no more vectors than buckets is taken as it is: then distances are exact. */
function planOf({ vectors }: WhitenedTensor, seed: Sha256, tensor: number): SketchPlan {
  if (vectors <= BUCKETS) return { buckets: vectors, places: Uint8Array.from({ length: vectors }, (_, v) => 2 * v) };
  const bytes = pseudorandom(seed, tensor, vectors);
  return { buckets: BUCKETS, places: bytes.map((byte) => byte % (2 * BUCKETS)) };
}

/** `[buckets, rank]`: whole numbers below 2^31 times the number of vectors, which float64 holds exactly. */
function sumsOf(values: Int32Array, tensor: WhitenedTensor, { buckets, places }: SketchPlan): Float64Array {
  const { start, vectors, rank, step, stride } = tensor;
  const sums = new Float64Array(buckets * rank);
  for (let v = 0; v < vectors; v++) {
    const place = places[v]!;
    const sign = place & 1 ? -1 : 1;
    const into = (place >> 1) * rank;
    const from = start + v * stride;
    for (let i = 0; i < rank; i++) sums[into + i]! += sign * values[from + i * step]!;
  }
  return sums;
}

/** Bytes that follow from seed and number: SHA-256 of `seed:number:block`, block after block. */
function pseudorandom(seed: Sha256, number: number, count: number): Uint8Array {
  const bytes = new Uint8Array(count);
  for (let at = 0; at < count; at += 32) {
    const digest = createHash('sha256')
      .update(`${seed}:${number}:${at / 32}`)
      .digest();
    bytes.set(digest.subarray(0, count - at), at);
  }
  return bytes;
}
