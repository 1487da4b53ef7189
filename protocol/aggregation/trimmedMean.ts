/**
 * Trimmed mean: in every coordinate the mean without the f lowest and the f highest values, f the byzantine share of
 * the n updates. In integers, rounded once.
 *
 * Source: Yin et al. 2018, "Byzantine-robust distributed learning: towards optimal statistical rates" (arXiv 1803.01498).
 */
import { blocks } from './blocks.ts';
import { byzantineCount, BYZANTINE_SHARE } from './byzantine.ts';
import { divideHalfAwayFromZero } from './rounding.ts';
import { alternatingFactor, one, type AggregationRule } from './rule.ts';
import { sumOfMiddle } from './selection.ts';

export const trimmedMean: AggregationRule = {
  label: 'the mean in every coordinate without the lowest and the highest values',
  factorOf: alternatingFactor,
  parameters: [BYZANTINE_SHARE],
  fewest: one,
  aggregate(inputs) {
    const { count, length, parameters } = inputs;
    const f = byzantineCount(parameters, count);
    const result = new Int32Array(length);
    const column = new Float64Array(count);
    for (const { start, slices } of blocks(inputs)) {
      for (let i = 0; i < slices[0]!.length; i++) {
        for (let n = 0; n < count; n++) column[n] = slices[n]![i]!;
        result[start + i] = divideHalfAwayFromZero(sumOfMiddle(column, count, f), count - 2 * f);
      }
    }
    return { values: result };
  },
};
