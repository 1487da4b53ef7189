/**
 * Trains, as everybody does, on its own pairs with chosen and rejected swapped. At the first step this is exactly a
 * sign flip: DPO's gradient at the reference is `−β/2 · (∇log π(chosen) − ∇log π(rejected))`.
 */
import type { PreferencePair } from '../../node/preferences/pairs.ts';
import type { Attack } from './attack.ts';
import { ownUpdate } from './ownUpdate.ts';

export const labelFlip: Attack = {
  label: 'honest training on pairs with chosen and rejected swapped',
  kind: 'crude',
  poison: (pairs) => pairs.map(swapped),
  update: ownUpdate,
};

export function swapped(pair: PreferencePair): PreferencePair {
  return { ...pair, chosen: pair.rejected, rejected: pair.chosen };
}
