/**
 * Which pairs run together, and at which extents.
 *
 * Graphs have static shapes, so extents are rounded up to a coarse scale: few graphs, little padding. The plan depends
 * on nothing but the pairs' lengths; the same pairs always run in the same shapes, and give the same bits.
 */

import { roundedExtent } from '../engine/compiledGraphs.ts';
import { rowExtents, type PreferenceShape, type RowLayout } from './preferenceRows.ts';
import type { TokenizedPair } from './policy.ts';

export interface MicroBatch {
  readonly shape: PreferenceShape;
  /** Indices of the pairs it holds. */
  readonly members: readonly number[];
}

/**
 * Pairs of like length together, as many as fit into `tokenBudget` tokens of the graph, padding included. All batches
 * hold the same number of pairs, so that only the last may have padding for pairs.
 */
export function planMicroBatches(
  pairs: readonly TokenizedPair[],
  layout: RowLayout,
  tokenBudget: number,
): MicroBatch[] {
  const order = [...pairs.keys()].sort((a, b) => length(pairs[a]!) - length(pairs[b]!) || a - b);
  const longest = extentsOf(pairs, layout, 1);
  const capacity = Math.max(1, Math.floor(tokenBudget / tokensOf(longest)));
  const count = Math.ceil(pairs.length / capacity);
  const size = Math.ceil(pairs.length / Math.max(1, count));
  return Array.from({ length: Math.ceil(pairs.length / size) || 0 }, (_, i) => {
    const members = order.slice(i * size, (i + 1) * size);
    const held = members.map((member) => pairs[member]!);
    return { members, shape: extentsOf(held, layout, size) };
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
