/**
 * Hides that several send the same: every value moves by at most one unit in the last place, each attacker's by its
 * own chance. Costs the attack nothing, and what is equal is the easiest thing to find.
 */
import type { RandomStream } from '../../node/training/randomStream.ts';
import { LARGEST_VALUE, type FixedPointTensors } from '../../protocol/tensorBlob.ts';

export function disguised(update: FixedPointTensors, random: RandomStream): FixedPointTensors {
  const values = update.values.map((value) => {
    if (value === 0 || Math.abs(value) === LARGEST_VALUE) return value;
    // Never away from zero, so that it stays within the bound on its length.
    return value - Math.sign(value) * (random.bits() & 1);
  });
  return { ...update, values };
}
