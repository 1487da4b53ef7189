/** Says that it has far more pairs than anybody, so as to weigh more, and sends the honest mean backwards. */
import { LIMITS } from '../../protocol/limits.ts';
import type { Attack } from './attack.ts';
import { signFlip } from './signFlip.ts';

export const pairCounts: Attack = {
  ...signFlip(1),
  label: `a claim of ${LIMITS.pairs.value} pairs, and the honest mean backwards`,
  claimedPairs: LIMITS.pairs.value,
};
