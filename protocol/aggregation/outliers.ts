/**
 * Checks of an update that need all the others: whether its length is out of all proportion.
 *
 * The manifest bounds an update's length once and for all; what is usual in a round is known only from the round. Two
 * kinds are left out before a robust rule counts its votes: updates whose factor is far longer than is usual, which a
 * length of the product would miss where the other factor maps them to nothing; and updates that change next to
 * nothing, which would let a rule of majorities stand still.
 */
import type { ErrorCode } from '../errors.ts';
import type { Norms } from './productMetric.ts';
import type { RuleInputs } from './rule.ts';
import { twiceTheMedian } from './selection.ts';

/** Most factor norms of the median. */
const LONGEST = 10;
/** Least share of the median product norm. */
const SHORTEST = 1e-6;

/** The updates to leave out, by their place, each with the reason: NORM_OUTLIER or EMPTY_UPDATE. */
export function outliers({ factor, product }: Norms): Map<number, ErrorCode> {
  const longest = (LONGEST * twiceTheMedian(factor.slice(), factor.length)) / 2;
  const shortest = (SHORTEST * twiceTheMedian(product.slice(), product.length)) / 2;
  const found = new Map<number, ErrorCode>();
  for (const [i, norm] of factor.entries()) {
    if (norm > longest) found.set(i, 'NORM_OUTLIER');
    else if (product[i]! < shortest) found.set(i, 'EMPTY_UPDATE');
  }
  return found;
}

/** The same inputs without those at the given places. */
export function without(inputs: RuleInputs, places: ReadonlyMap<number, unknown>): RuleInputs {
  if (places.size === 0) return inputs;
  const updates = {
    *[Symbol.iterator]() {
      let n = 0;
      for (const values of inputs.updates) if (!places.has(n++)) yield values;
    },
  };
  return { ...inputs, updates, count: inputs.count - places.size };
}
