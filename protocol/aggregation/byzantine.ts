/**
 * How many of the updates a rule takes to be hostile.
 *
 * The share is declared once, in the manifest: guessing too low can be arbitrarily bad, guessing too high costs
 * accuracy, and tuning it by round would let the hostile ones tune it too. Source: arXiv 2510.04432.
 */
import type { RuleParameter } from './rule.ts';

/** Share of the updates that may be hostile. */
export const BYZANTINE_SHARE: RuleParameter = { name: 'byzantineShare', min: 0, max: 0.49, default: 0.2 };

/** Makes a share that was computed as `f / n` give `f` again. */
const ROUNDING = 1e-9;

/** `f` of `n` updates: the share, rounded down. */
export function byzantineCount(parameters: Readonly<Record<string, number>>, count: number): number {
  return Math.floor(parameters[BYZANTINE_SHARE.name]! * count + ROUNDING);
}
