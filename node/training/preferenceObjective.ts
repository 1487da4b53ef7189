/**
 * What a training step minimises, as a graph value: the weighted sum of the pairs' losses and of the chosen answers'
 * negative log-likelihoods. Weights are fed, so that a batch may run in parts whose gradients add up to its own.
 */
import { input, type Value } from '../engine/graph.ts';
import { sum } from '../engine/operators/broadcasting.ts';
import { add, multiply, negate, subtract } from '../engine/operators/elementwise.ts';
import { GRAPH } from './lossArithmetic.ts';
import { lossNamed, type LossName } from './preferenceLoss.ts';

/**
 * A scalar, of the policy's summed log-probabilities in nats, `[pairs]` each.
 *
 * Inputs, `[pairs]` each unless said: `referenceChosen` and `referenceRejected`, the reference's sums in nats;
 * `chosenShare` and `rejectedShare`, one over the answers' token counts; `weights` of the pairs' losses and
 * `sftWeights` of the chosen answers' negative log-likelihoods; `beta` and `labelSmoothing`, scalars.
 */
export function preferenceObjective(
  name: LossName,
  { chosen, rejected }: { readonly chosen: Value; readonly rejected: Value },
): Value {
  const { averaged, of } = lossNamed(name);
  const ratio = (policy: Value, reference: string, share: string): Value => {
    const ofSums = subtract(policy, input(reference, policy.shape));
    return averaged ? multiply(ofSums, input(share, policy.shape)) : ofSums;
  };
  const ratios = {
    chosen: ratio(chosen, 'referenceChosen', 'chosenShare'),
    rejected: ratio(rejected, 'referenceRejected', 'rejectedShare'),
  };
  const losses = of(GRAPH, ratios, input('beta', []), input('labelSmoothing', []));
  return add(
    sum(multiply(losses, input('weights', chosen.shape)), [0]),
    negate(sum(multiply(chosen, input('sftWeights', chosen.shape)), [0])),
  );
}
