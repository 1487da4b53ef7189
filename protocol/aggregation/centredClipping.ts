/**
 * Centred clipping: from the present adapter (v = 0), steps towards the updates, each pull no longer than τ:
 *
 *   v ← v + 1/n · Σ (x_i − v) · min(1, τ / ‖x_i − v‖)
 *
 * τ is a multiple of the median length. Every v is a weighted sum of the updates, so the steps need only their inner
 * products. Nothing is kept between rounds: whoever recomputes one needs no history.
 *
 * Source: Karimireddy et al. 2021, "Learning from history for Byzantine robust optimization" (arXiv 2012.10333).
 */
import { dot, productGram, squaredDistanceFromSum, timesWeights } from './gram.ts';
import { alternatingFactor, one, type AggregationRule, type RuleParameter } from './rule.ts';
import { twiceTheMedian } from './selection.ts';
import { weightedSum } from './weightedSum.ts';

/** τ, in median lengths. */
const RADIUS: RuleParameter = { name: 'radius', min: 0.01, max: 100, default: 1 };
const ITERATIONS: RuleParameter = { name: 'iterations', min: 1, max: 64, default: 3 };

export const centredClipping: AggregationRule = {
  label: 'steps towards the updates, none of which pulls further than a bound',
  factorOf: alternatingFactor,
  parameters: [RADIUS, ITERATIONS],
  fewest: one,
  aggregate(inputs) {
    const { count, parameters } = inputs;
    const gram = productGram(inputs);
    const lengths = Float64Array.from({ length: count }, (_, i) => Math.sqrt(gram[i * count + i]!));
    const tau = (parameters[RADIUS.name]! * twiceTheMedian(lengths, count)) / 2;
    const weights = new Float64Array(count);
    for (let step = 0; step < Math.floor(parameters[ITERATIONS.name]!); step++) {
      const weighted = timesWeights(gram, weights);
      const squaredSum = dot(weights, weighted);
      const pulls = weights.map((_, i) => {
        const distance = Math.sqrt(squaredDistanceFromSum(gram, count, i, weighted, squaredSum));
        return (distance > tau ? tau / distance : 1) / count;
      });
      let total = 0;
      for (const pull of pulls) total += pull;
      for (let i = 0; i < count; i++) weights[i] = weights[i]! * (1 - total) + pulls[i]!;
    }
    return { values: weightedSum(inputs, weights) };
  },
};
