/**
 * Nearest-neighbour mixing: every update is replaced by the mean of the n − f updates nearest to it, itself among
 * them, before another rule. Where honest updates differ because their data differ, this pulls them together, and a
 * hostile one is drawn among the honest ones or left with few.
 *
 * Source: Allouah et al. 2023, "Fixing by mixing: a recipe for optimal Byzantine ML under heterogeneity"
 * (arXiv 2302.01772), algorithm 1.
 */
import { sketches, squaredSketchDistance } from './sketch.ts';
import type { RuleInputs } from './rule.ts';

/**
 * For each update, shortened by its factor, the f updates furthest from it; equal distances count the later hash as
 * further.
 */
export function furthestNeighbours(inputs: RuleInputs, factors: Float64Array, f: number): number[][] {
  // A sketch is linear: that of a shortened update is the shortened sketch.
  const all = sketches(inputs).map((sketch, n) => sketch.map((value) => value * factors[n]!));
  const { count } = inputs;
  const distances = new Float64Array(count * count);
  for (let i = 0; i < count; i++) {
    for (let j = 0; j < i; j++) {
      distances[i * count + j] = distances[j * count + i] = squaredSketchDistance(all[i]!, all[j]!);
    }
  }
  return Array.from({ length: count }, (_, i) => {
    const order = Array.from({ length: count }, (_, j) => j).filter((j) => j !== i);
    order.sort((a, b) => distances[i * count + a]! - distances[i * count + b]! || a - b);
    return order.slice(count - 1 - f);
  });
}
