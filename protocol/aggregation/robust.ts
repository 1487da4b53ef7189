/**
 * The default against hostile updates: leave out those whose length is out of all proportion, shorten every update to the median length, replace each by the mean of its
 * n − f nearest, then in every coordinate the mean without the f lowest and highest. With three or four updates, the
 * coordinate-wise median of the shortened ones, which tolerates one but promises nothing; with fewer, no result.
 *
 * Lengths and distances are those of the products B·A, distances estimated from sketches. All sums are exact integers
 * and the one division is the last step, so mixing and trimming cost no rounding: a mixed value is kept as the sum of
 * the n − f values that it is the mean of.
 *
 * Bounds the influence of at most the declared share of updates. It cannot tell a wrong preference from a different
 * one: see docs/reference/robustness.md.
 */
import { blocks, type Block } from './blocks.ts';
import { byzantineCount, BYZANTINE_SHARE } from './byzantine.ts';
import { clippingFactors, shorten } from './clippedMean.ts';
import { coordinateMedian } from './median.ts';
import { furthestNeighbours } from './nearestNeighbours.ts';
import { outliers, without } from './outliers.ts';
import { normsOf } from './productMetric.ts';
import { divideHalfAwayFromZero } from './rounding.ts';
import { alternatingFactor, type AggregationRule, type RuleInputs } from './rule.ts';
import { sumOfMiddle } from './selection.ts';

/** Below it there is no majority to go by. */
const FEWEST = 3;
/** From here on one hostile update in five leaves a majority after trimming. */
const FEWEST_FOR_MIXING = 5;

export const robust: AggregationRule = {
  label: 'updates shortened to the median length, mixed with their neighbours, and trimmed in every coordinate',
  factorOf: alternatingFactor,
  parameters: [BYZANTINE_SHARE],
  fewest: () => FEWEST,
  aggregate(inputs) {
    const norms = normsOf(inputs);
    const leftOut = outliers(norms);
    const kept = without(inputs, leftOut);
    const factors = clippingFactors(norms.product.filter((_, i) => !leftOut.has(i)));
    const values =
      kept.count < FEWEST_FOR_MIXING
        ? coordinateMedian(kept, shortenedBlocks(kept, factors))
        : mixedAndTrimmed(kept, factors);
    return { values, leftOut };
  },
};

/** The updates side by side, each times its factor. */
function* shortenedBlocks(inputs: RuleInputs, factors: Float64Array): Generator<Block> {
  for (const block of blocks(inputs)) {
    for (const [n, slice] of block.slices.entries()) shorten(slice, factors[n]!);
    yield block;
  }
}

function mixedAndTrimmed(inputs: RuleInputs, factors: Float64Array): Int32Array {
  const { count, length, parameters } = inputs;
  const f = byzantineCount(parameters, count);
  const furthest = furthestNeighbours(inputs, factors, f);
  const result = new Int32Array(length);
  for (const block of shortenedBlocks(inputs, factors)) trimBlock(result, block, furthest, f);
  return result;
}

/** Coordinates that are mixed at once: `count` such stretches fit into the processor's cache. */
const STRETCH = 128;

function trimBlock(result: Int32Array, { start, slices }: Block, furthest: readonly number[][], f: number): void {
  const count = slices.length;
  const length = slices[0]!.length;
  const divisor = (count - f) * (count - 2 * f);
  // `[count, STRETCH]` each: one array is read faster than a hundred.
  const stretches = new Float64Array(count * STRETCH);
  const mixed = new Float64Array(count * STRETCH);
  const total = new Float64Array(STRETCH);
  const column = new Float64Array(count);
  for (let from = 0; from < length; from += STRETCH) {
    const width = Math.min(STRETCH, length - from);
    total.fill(0);
    for (const [n, slice] of slices.entries()) {
      const row = n * STRETCH;
      for (let i = 0; i < width; i++) total[i]! += stretches[row + i] = slice[from + i]!;
    }
    for (const [n, far] of furthest.entries()) {
      mixed.set(total, n * STRETCH);
      subtractAll(mixed, n * STRETCH, far, stretches);
    }
    for (let i = 0; i < width; i++) {
      for (let n = 0; n < count; n++) column[n] = mixed[n * STRETCH + i]!;
      result[start + from + i] = divideHalfAwayFromZero(sumOfMiddle(column, count, f), divisor);
    }
  }
}

/** Subtracts the rows `far` of `stretches` from `mixed`'s row that begins at `row`, four at a time. */
function subtractAll(mixed: Float64Array, row: number, far: readonly number[], stretches: Float64Array): void {
  let k = 0;
  for (; k + 4 <= far.length; k += 4) {
    const a = far[k]! * STRETCH;
    const b = far[k + 1]! * STRETCH;
    const c = far[k + 2]! * STRETCH;
    const d = far[k + 3]! * STRETCH;
    for (let i = 0; i < STRETCH; i++) {
      mixed[row + i]! -= stretches[a + i]! + stretches[b + i]! + (stretches[c + i]! + stretches[d + i]!);
    }
  }
  for (; k < far.length; k++) {
    const a = far[k]! * STRETCH;
    for (let i = 0; i < STRETCH; i++) mixed[row + i]! -= stretches[a + i]!;
  }
}
