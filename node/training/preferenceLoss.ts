/**
 * Preference losses as graph values, in terms of what a pair's completions sum to.
 */

import type { Value } from '../engine/graph.ts';
import { multiply, negate, softplus, subtract } from '../engine/operators/elementwise.ts';

/** Summed log-probabilities in nats, `[pairs]` each. */
export interface PairValues {
  readonly chosen: Value;
  readonly rejected: Value;
}

/**
 * DPO's sigmoid loss per pair (Rafailov et al. 2023, eq. 7): `-log σ(β · margin) = softplus(-β · margin)`, which is
 * finite for every margin.
 */
export function sigmoidLoss(policy: PairValues, reference: PairValues, beta: Value): Value {
  const margin = subtract(subtract(policy.chosen, reference.chosen), subtract(policy.rejected, reference.rejected));
  return softplus(negate(multiply(beta, margin)));
}

/** The same loss of one margin in float64. */
export function sigmoidLossOf(margin: number, beta: number): number {
  const x = -beta * margin;
  return Math.max(x, 0) + Math.log1p(Math.exp(-Math.abs(x)));
}
