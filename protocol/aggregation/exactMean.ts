/**
 * The mean of integer vectors, exactly and whatever the order.
 *
 * n vectors of 32-bit integers, n <= 2^10, sum to less than 2^41: float64 holds every such sum exactly, and adds
 * faster than big integers. The quotient is rounded half away from zero, so that negated inputs give the negated
 * mean. Inputs are taken four at a time: memory does not grow with their number.
 */
import { PrefmeshError } from '../errors.ts';
import { LIMITS } from '../limits.ts';
import { divideHalfAwayFromZero } from './rounding.ts';

/** @param length number of values of every vector. Throws NO_UPDATES without a vector, TOO_MANY_UPDATES above 2^10. */
export function exactMean(vectors: Iterable<Int32Array>, length: number): Int32Array {
  const sums = new Float64Array(length);
  let count = 0;
  let waiting: Int32Array[] = [];
  for (const vector of vectors) {
    if ((count += 1) > LIMITS.participants.value) {
      throw new PrefmeshError('TOO_MANY_UPDATES', { limit: LIMITS.participants.value });
    }
    waiting.push(vector);
    if (waiting.length === 4) {
      addFour(sums, waiting as [Int32Array, Int32Array, Int32Array, Int32Array]);
      waiting = [];
    }
  }
  for (const vector of waiting) addTo(sums, vector);
  if (count === 0) throw new PrefmeshError('NO_UPDATES', {});
  const mean = new Int32Array(length);
  for (let i = 0; i < length; i++) mean[i] = divideHalfAwayFromZero(sums[i]!, count);
  return mean;
}

/** Four vectors a pass over the sums: memory is what limits the speed. */
function addFour(sums: Float64Array, [a, b, c, d]: readonly [Int32Array, Int32Array, Int32Array, Int32Array]): void {
  for (let i = 0; i < sums.length; i++) sums[i] = sums[i]! + (a[i]! + b[i]! + (c[i]! + d[i]!));
}

function addTo(sums: Float64Array, vector: Int32Array): void {
  for (let i = 0; i < sums.length; i++) sums[i] = sums[i]! + vector[i]!;
}
