/**
 * Norm clipping: every update longer than the median of all lengths is shortened to it, then the plain mean. Lengths
 * are those of the products B·A. Bounds what one update can do; it does not find hostile ones.
 *
 * Source: Sun et al. 2019, "Can you really backdoor federated learning?" (arXiv 1911.07963), with the median in place
 * of a fixed bound. Memory does not grow with the number of updates.
 */
import { exactMean } from './exactMean.ts';
import { normsOf } from './productMetric.ts';
import { roundHalfAwayFromZero } from './rounding.ts';
import { alternatingFactor, one, type AggregationRule, type RuleInputs } from './rule.ts';
import { twiceTheMedian } from './selection.ts';

export const clippedMean: AggregationRule = {
  label: 'the mean of the updates, each shortened to the median length',
  factorOf: alternatingFactor,
  parameters: [],
  fewest: one,
  aggregate: (inputs) => ({
    values: exactMean(shortened(inputs, clippingFactors(normsOf(inputs).product)), inputs.length),
  }),
};

/** `min(1, median / norm)` of each norm; 1 where the norm is zero. */
export function clippingFactors(norms: Float64Array): Float64Array {
  const bound = twiceTheMedian(norms.slice(), norms.length) / 2;
  return norms.map((norm) => (norm > bound ? bound / norm : 1));
}

/** The updates times their factors, rounded to whole numbers. */
function shortened({ updates }: RuleInputs, factors: Float64Array): Iterable<Int32Array> {
  return {
    *[Symbol.iterator]() {
      let n = 0;
      for (const values of updates) yield shorten(values.slice(), factors[n++]!);
    },
  };
}

/** Multiplies in place and rounds to whole numbers. */
export function shorten(values: Int32Array, factor: number): Int32Array {
  if (factor === 1) return values;
  for (let i = 0; i < values.length; i++) values[i] = roundHalfAwayFromZero(values[i]! * factor);
  return values;
}
