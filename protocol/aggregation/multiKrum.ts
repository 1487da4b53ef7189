/**
 * Multi-Krum: the mean of the n − f updates with the lowest Krum scores.
 *
 * Source: Blanchard et al. 2017, "Machine learning with adversaries: Byzantine tolerant gradient descent", section 5.
 */
import { byzantineCount } from './byzantine.ts';
import { fewestForKrum, KRUM_SHARE, selection } from './krum.ts';
import { alternatingFactor, type AggregationRule } from './rule.ts';
import { weightedSum } from './weightedSum.ts';

export const multiKrum: AggregationRule = {
  label: 'the mean of the updates closest to their neighbours',
  factorOf: alternatingFactor,
  parameters: [KRUM_SHARE],
  fewest: fewestForKrum,
  aggregate(inputs) {
    const { count, parameters } = inputs;
    return { values: weightedSum(inputs, selection(inputs, count - byzantineCount(parameters, count))) };
  },
};
