/**
 * Just short of the length at which a robust rule leaves an update out as an outlier: what attacks on the factors use,
 * which want a factor as long as possible while its product with the other one looks as usual.
 */
import type { AttackedRound } from './attack.ts';
import { lengthOf, times, usualLength } from './direction.ts';

/** In median lengths of the honest updates; the default leaves out what is longer than 10. */
export const LONGEST_TAKEN = 9.5;

/** The direction as long as is taken. */
export function asLongAsIsTaken(values: Float64Array, round: Pick<AttackedRound, 'honest'>): Float64Array {
  const length = lengthOf(values);
  return length === 0 ? values : times(values, (LONGEST_TAKEN * usualLength(round)) / length);
}
