/**
 * Which pairs run together, and at which extents.
 *
 * Graphs have static shapes, so extents are rounded up to a coarse scale: few graphs, little padding. The plan depends
 * on nothing but the pairs' lengths; the same pairs always run in the same shapes, and give the same bits.
 */

import { roundedExtent } from '../engine/compiledGraphs.ts';
import { ROW_LAYOUTS, rowExtents, type PreferenceShape, type RowLayout } from './preferenceRows.ts';
import type { TokenizedPair } from './policy.ts';

export interface MicroBatch {
  readonly shape: PreferenceShape;
  /** Indices of the pairs it holds. */
  readonly members: readonly number[];
}

/**
 * Pairs of like layout and length together, as many as fit into `tokenBudget` tokens of the graph, padding included. All
 * batches of a layout hold the same number of pairs, so that only the last may have padding for pairs.
 */
export function planMicroBatches(
  pairs: readonly TokenizedPair[],
  layoutOf: (pair: TokenizedPair) => RowLayout,
  tokenBudget: number,
): MicroBatch[] {
  return ROW_LAYOUTS.flatMap((layout) => {
    const order = [...pairs.keys()]
      .filter((i) => layoutOf(pairs[i]!) === layout)
      .sort((a, b) => length(pairs[a]!) - length(pairs[b]!) || a - b);
    const held = (members: readonly number[]) => members.map((member) => pairs[member]!);
    const longest = extentsOf(held(order), layout, 1);
    const capacity = Math.max(1, Math.floor(tokenBudget / tokensOf(longest)));
    const count = Math.ceil(order.length / capacity);
    const size = Math.ceil(order.length / Math.max(1, count));
    return Array.from({ length: Math.ceil(order.length / size) || 0 }, (_, i) => {
      const members = order.slice(i * size, (i + 1) * size);
      return { members, shape: extentsOf(held(members), layout, size) };
    });
  });
}

/** Tokens of a graph's rows, padding included. */
function tokensOf(shape: PreferenceShape): number {
  const [rows, time] = rowExtents(shape);
  return rows * time;
}

function extentsOf(held: readonly TokenizedPair[], layout: RowLayout, pairs: number): PreferenceShape {
  const most = (count: (pair: TokenizedPair) => number): number =>
    held.reduce((top, pair) => Math.max(top, count(pair)), 0);
  return {
    layout,
    pairs,
    prompt: roundedExtent(most(({ prompt }) => prompt.length)),
    completion: roundedExtent(most(({ chosen, rejected }) => Math.max(chosen.length, rejected.length))),
  };
}

function length({ prompt, chosen, rejected }: TokenizedPair): number {
  return prompt.length + 2 * Math.max(chosen.length, rejected.length);
}
