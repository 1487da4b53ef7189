/**
 * The exact mean of integer vectors under whole weights.
 *
 * A sum of 32-bit integers whose weights add up to at most 2^21 stays below 2^53, so float64 holds it exactly; the
 * quotient is taken in big integers and rounded half away from zero, as in an unweighted round.
 */
import { PrefmeshError } from '../../protocol/errors.ts';

const LARGEST_TOTAL = 2 ** 21;
const FINEST_FRACTION = 1e6;

/** @param weights whole and positive, one for each vector, at most 2^21 in all */
export function weightedMean(vectors: readonly Int32Array[], weights: readonly number[], length: number): Int32Array {
  const sums = new Float64Array(length);
  for (const [n, vector] of vectors.entries()) {
    const weight = weights[n]!;
    for (let i = 0; i < length; i++) sums[i]! += weight * vector[i]!;
  }
  const total = BigInt(weights.reduce((sum, weight) => sum + weight, 0));
  return Int32Array.from(sums, (sum) => {
    const magnitude = (2n * BigInt(Math.abs(sum)) + total) / (2n * total);
    return sum < 0 ? -Number(magnitude) : Number(magnitude);
  });
}

/**
 * The smallest whole numbers in the proportions given: `0.5, 0.25, 0.25` are `2, 1, 1`.
 * Throws USAGE when a weight is not positive, has more than six decimals, or the numbers add up to more than 2^21.
 */
export function wholeWeights(weights: readonly number[]): number[] {
  for (let scale = 1; scale <= FINEST_FRACTION; scale *= 10) {
    const scaled = weights.map((weight) => weight * scale);
    const whole = scaled.map(Math.round);
    if (!scaled.every((weight, n) => Math.abs(weight - whole[n]!) <= 1e-9 * scale && whole[n]! > 0)) continue;
    const divisor = whole.reduce(greatestCommonDivisor);
    const least = whole.map((weight) => weight / divisor);
    if (least.reduce((sum, weight) => sum + weight, 0) <= LARGEST_TOTAL) return least;
  }
  throw new PrefmeshError('USAGE', {
    problem: `no exact mean can be taken with the weights ${weights.join(', ')}`,
    hint: `pass positive numbers of at most six decimals whose whole proportions add up to at most ${LARGEST_TOTAL}`,
  });
}

function greatestCommonDivisor(a: number, b: number): number {
  return b === 0 ? a : greatestCommonDivisor(b, a % b);
}
