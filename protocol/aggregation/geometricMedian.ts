/**
 * Geometric median: the point whose distances to all updates add up to least, by smoothed Weiszfeld steps from the
 * mean. Every iterate is a weighted sum of the updates, so the steps need only their inner products:
 *
 *   weights_i ∝ 1 / max(ν, ‖z − x_i‖),   z = Σ weights_i · x_i
 *
 * ν is a millionth of the median length: an absolute ν would be far above the length of a LoRA update, and make this
 * the plain mean.
 *
 * Source: Pillutla et al. 2019, "Robust aggregation for federated learning" (arXiv 1912.13445), algorithm 2.
 */
import { dot, productGram, squaredDistanceFromSum, timesWeights } from './gram.ts';
import { alternatingFactor, one, type AggregationRule, type RuleParameter } from './rule.ts';
import { twiceTheMedian } from './selection.ts';
import { weightedSum } from './weightedSum.ts';

const SMOOTHING = 1e-6;

/** Weiszfeld steps. */
const ITERATIONS: RuleParameter = { name: 'iterations', min: 1, max: 256, default: 32 };

export const geometricMedian: AggregationRule = {
  label: 'the point with the least sum of distances to the updates',
  factorOf: alternatingFactor,
  parameters: [ITERATIONS],
  fewest: one,
  aggregate(inputs) {
    const gram = productGram(inputs);
    const weights = weiszfeld(gram, inputs.count, inputs.parameters[ITERATIONS.name]!);
    return { values: weightedSum(inputs, weights) };
  },
};

function weiszfeld(gram: Float64Array, count: number, iterations: number): Float64Array {
  const lengths = Float64Array.from({ length: count }, (_, i) => Math.sqrt(gram[i * count + i]!));
  // Where all lengths are zero so are all distances, and any weights give the same.
  const nu = (SMOOTHING * twiceTheMedian(lengths, count)) / 2 || Number.MIN_VALUE;
  let weights = new Float64Array(count).fill(1 / count);
  for (let step = 0; step < Math.floor(iterations); step++) {
    const weighted = timesWeights(gram, weights);
    const squaredSum = dot(weights, weighted);
    const shares = weights.map((_, i) => {
      return 1 / Math.max(nu, Math.sqrt(squaredDistanceFromSum(gram, count, i, weighted, squaredSum)));
    });
    let total = 0;
    for (const share of shares) total += share;
    weights = shares.map((share) => share / total);
  }
  return weights;
}
