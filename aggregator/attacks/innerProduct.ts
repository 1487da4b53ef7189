/**
 * Inner-product manipulation: `−τ · mean`, so short that it passes as an honest update, so that the aggregate's inner
 * product with the honest mean turns negative. Source: Xie et al., arXiv 1903.03936.
 */
import type { Attack } from './attack.ts';
import { meanOf, times, updateOf } from './direction.ts';
import { worstStrength } from './strength.ts';

export function innerProduct(tau: number): Attack {
  return {
    label: `inner-product manipulation, τ = ${tau}`,
    kind: 'tuned',
    update: (round) => updateOf(times(meanOf(round.honest), -tau), round),
  };
}

/** With the τ that is worst under the rule in use. */
export const tunedInnerProduct: Attack = {
  label: 'inner-product manipulation, τ searched against the rule',
  kind: 'tuned',
  update(round) {
    const mean = meanOf(round.honest);
    const at = (tau: number) => updateOf(times(mean, -tau), round);
    return at(worstStrength(round, mean, at));
  },
};
