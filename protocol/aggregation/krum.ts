/**
 * Krum: the one update whose nearest neighbours are nearest. The score of an update is the sum of its squared
 * distances to the n − f − 2 updates nearest to it, in the metric of the products; the lowest score wins, the earlier
 * hash on a tie. Chooses a single update, so it is the weakest learner of the rules; kept for comparison.
 *
 * Source: Blanchard et al. 2017, "Machine learning with adversaries: Byzantine tolerant gradient descent", section 4.
 */
import { byzantineCount, BYZANTINE_SHARE } from './byzantine.ts';
import { productGram, squaredDistance } from './gram.ts';
import { alternatingFactor, type AggregationRule, type RuleInputs } from './rule.ts';
import { weightedSum } from './weightedSum.ts';

/** The share up to which n >= 2f + 3 can hold for some n. */
export const KRUM_SHARE = { ...BYZANTINE_SHARE, max: 0.45 };

export const krum: AggregationRule = {
  label: 'the single update closest to its neighbours; slow to learn, for comparison',
  factorOf: alternatingFactor,
  parameters: [KRUM_SHARE],
  fewest: fewestForKrum,
  aggregate: (inputs) => ({ values: weightedSum(inputs, selection(inputs, 1)) }),
};

/** n >= 2f + 3 (Blanchard et al., proposition 1) holds from here on, with f the share of n. */
export function fewestForKrum(parameters: Readonly<Record<string, number>>): number {
  return Math.ceil(3 / (1 - 2 * parameters[BYZANTINE_SHARE.name]!) - 1e-9);
}

/** Equal weights for the `chosen` updates with the lowest scores, 0 for the others. */
export function selection(inputs: RuleInputs, chosen: number): Float64Array {
  const { count, parameters } = inputs;
  const scores = krumScores(productGram(inputs), count, byzantineCount(parameters, count));
  const order = Array.from(scores.keys()).sort((a, b) => scores[a]! - scores[b]! || a - b);
  const weights = new Float64Array(count);
  for (const i of order.slice(0, chosen)) weights[i] = 1 / chosen;
  return weights;
}

function krumScores(gram: Float64Array, count: number, f: number): Float64Array {
  return Float64Array.from({ length: count }, (_, i) => {
    const distances: number[] = [];
    for (let j = 0; j < count; j++) if (j !== i) distances.push(squaredDistance(gram, count, i, j));
    distances.sort((a, b) => a - b);
    let score = 0;
    for (const distance of distances.slice(0, Math.max(1, count - f - 2))) score += distance;
    return score;
  });
}
