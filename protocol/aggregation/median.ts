/**
 * Coordinate-wise median: in every coordinate the middle of the updates' values, and of an even number of updates the
 * mean of the two middle ones. Holds against fewer than half of the updates, coordinate by coordinate.
 *
 * Source: Yin et al. 2018, "Byzantine-robust distributed learning: towards optimal statistical rates" (arXiv 1803.01498).
 */
import { blocks, type Block } from './blocks.ts';
import { divideHalfAwayFromZero } from './rounding.ts';
import { alternatingFactor, one, type AggregationRule, type RuleInputs } from './rule.ts';
import { twiceTheMedian } from './selection.ts';

export const median: AggregationRule = {
  label: 'the median of the updates in every coordinate',
  factorOf: alternatingFactor,
  parameters: [],
  fewest: one,
  aggregate: (inputs) => ({ values: coordinateMedian(inputs, blocks(inputs)) }),
};

/** `all` has the updates side by side, in stretches. */
export function coordinateMedian({ count, length }: RuleInputs, all: Iterable<Block>): Int32Array {
  const result = new Int32Array(length);
  const column = new Float64Array(count);
  for (const { start, slices } of all) {
    for (let i = 0; i < slices[0]!.length; i++) {
      for (let n = 0; n < count; n++) column[n] = slices[n]![i]!;
      result[start + i] = divideHalfAwayFromZero(twiceTheMedian(column, count), 2);
    }
  }
  return result;
}
