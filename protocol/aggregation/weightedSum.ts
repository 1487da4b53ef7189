/** The weighted sum of updates, rounded once at the end. One pass; memory does not grow with the number of updates. */
import { roundHalfAwayFromZero } from './rounding.ts';
import type { RuleInputs } from './rule.ts';

/** `round(Σ weights[i] · update i)`, added up in the order of the updates. */
export function weightedSum({ updates, length }: RuleInputs, weights: ArrayLike<number>): Int32Array {
  const sums = new Float64Array(length);
  let n = 0;
  for (const values of updates) {
    const weight = weights[n++]!;
    if (weight === 0) continue;
    for (let i = 0; i < length; i++) sums[i]! += weight * values[i]!;
  }
  return Int32Array.from(sums, roundHalfAwayFromZero);
}
