/**
 * All updates side by side, a stretch of coordinates at a time.
 *
 * Rules that compare updates coordinate by coordinate, or in pairs, need them all at once. Held whole, a hundred
 * updates of ten megabytes take a gigabyte; in stretches that fit a fixed budget they take that budget, at the price
 * of one pass over the updates for each stretch.
 */
import { LIMITS } from '../limits.ts';
import type { RuleInputs } from './rule.ts';

export interface Block {
  /** First coordinate. */
  readonly start: number;
  /** The stretch of each update, in their order; all of one length. Valid until the next block. */
  readonly slices: readonly Int32Array[];
}

/**
 * Stretches of coordinates that end at the given ends, as many together as fit the budget; without `ends`, anywhere.
 * `ends` ascend, and the last is the length. `memory` is in bytes.
 */
export function* blocks(
  { count, length, updates }: Pick<RuleInputs, 'count' | 'length' | 'updates'>,
  ends?: readonly number[],
  memory = LIMITS.aggregationMemory.value,
): Generator<Block> {
  const most = Math.max(1, Math.floor(memory / (4 * count)));
  for (let start = 0; start < length;) {
    const end = ends === undefined ? Math.min(length, start + most) : lastWithin(ends, start, most);
    const slices: Int32Array[] = [];
    for (const values of updates) slices.push(values.slice(start, end));
    yield { start, slices };
    start = end;
  }
}

/** The largest end within `most` of `start`, or the next one where none is. */
function lastWithin(ends: readonly number[], start: number, most: number): number {
  let found = ends.find((end) => end > start)!;
  for (const end of ends) if (end > start && end - start <= most) found = end;
  return found;
}
