/**
 * The mean of integer vectors, exactly and whatever the order.
 *
 * n vectors of 32-bit integers, n <= 2^10, sum to less than 2^41: float64 holds every such sum exactly, and adds
 * faster than big integers. The quotient is rounded half away from zero, so that negated inputs give the negated
 * mean. Inputs are taken one at a time: memory does not grow with their number.
 */
import { PrefmeshError } from '../errors.ts';
import { LIMITS } from '../limits.ts';
import { divideHalfAwayFromZero } from './rounding.ts';

/** @param length number of values of every vector. Throws NO_UPDATES without a vector, TOO_MANY_UPDATES above 2^10. */
export function exactMean(vectors: Iterable<Int32Array>, length: number): Int32Array {
  const sums = new Float64Array(length);
  let count = 0;
  for (const vector of vectors) {
    if ((count += 1) > LIMITS.participants.value) {
      throw new PrefmeshError('TOO_MANY_UPDATES', { limit: LIMITS.participants.value });
    }
    addTo(sums, vector);
  }
  if (count === 0) throw new PrefmeshError('NO_UPDATES', {});
  const mean = new Int32Array(length);
  for (let i = 0; i < length; i++) mean[i] = divideHalfAwayFromZero(sums[i]!, count);
  return mean;
}

function addTo(sums: Float64Array, vector: Int32Array): void {
  for (let i = 0; i < sums.length; i++) sums[i] = sums[i]! + vector[i]!;
}
