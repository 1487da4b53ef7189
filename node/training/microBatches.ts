/**
 * Which pairs run together, and at which extents.
 *
 * Graphs have static shapes, so extents are rounded up: those of rows to a coarse scale, so that there are few graphs;
 * the number of tokens, on which the time depends, to a fine one. The plan depends on nothing but the pairs' lengths;
 * the same pairs always run in the same shapes, and give the same bits.
 */

import { roundedExtent } from '../engine/compiledGraphs.ts';
import { ROW_LAYOUTS, rowExtents, tokensInRows, type PreferenceShape, type RowLayout } from './preferenceRows.ts';
import type { TokenizedPair } from './policy.ts';

export interface MicroBatch {
  readonly shape: PreferenceShape;
  /** Indices of the pairs it holds. */
  readonly members: readonly number[];
}

/** Most places in the rows, padding included, for each token of the budget: attention's memory grows with them. */
const ROOM = 2;

/**
 * Pairs of like layout and length together, as many as fit into `tokenBudget` tokens of the graph; a pair that is longer
 * runs alone.
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
    const batches: MicroBatch[] = [];
    let members: number[] = [];
    for (const next of order) {
      const grown = [...members, next];
      const shape = shapeOf(grown, pairs, layout);
      const [rows, time] = rowExtents(shape);
      const fits = shape.tokens <= tokenBudget && rows * time <= ROOM * tokenBudget;
      if (!fits && members.length > 0) {
        batches.push({ members, shape: shapeOf(members, pairs, layout) });
        members = [next];
      } else {
        members = grown;
      }
    }
    if (members.length > 0) batches.push({ members, shape: shapeOf(members, pairs, layout) });
    return batches;
  });
}

/** Tokens of the pairs, and tokens that run for them. */
export interface TokensRun {
  readonly real: number;
  readonly run: number;
}

/** What a plan runs: tokens of the pairs, and those with the padding that shapes add. */
export function tokensRun(plan: readonly MicroBatch[], pairs: readonly TokenizedPair[]): TokensRun {
  let [real, run] = [0, 0];
  for (const { members, shape } of plan) {
    for (const member of members) real += tokensInRows(pairs[member]!, shape.layout);
    run += shape.tokens;
  }
  return { real, run };
}

function shapeOf(members: readonly number[], all: readonly TokenizedPair[], layout: RowLayout): PreferenceShape {
  const pairs = members.map((member) => all[member]!);
  const most = (count: (pair: TokenizedPair) => number): number =>
    pairs.reduce((top, pair) => Math.max(top, count(pair)), 0);
  const total = (count: (pair: TokenizedPair) => number): number => pairs.reduce((sum, pair) => sum + count(pair), 0);
  const rows = {
    layout,
    pairs: pairs.length,
    prompt: roundedExtent(most(({ prompt }) => prompt.length)),
    completion: roundedExtent(most(({ chosen, rejected }) => Math.max(chosen.length, rejected.length))),
  };
  const [rowCount, time] = rowExtents(rows);
  // One more than there are: padding in the rows is told apart by a token that is padding.
  const tokens = Math.min(rowCount * time, finelyRounded(total((pair) => tokensInRows(pair, layout)) + 1));
  const scored = total(({ chosen, rejected }) => chosen.length + rejected.length);
  return { ...rows, tokens, scored: Math.min(2 * rows.pairs * rows.completion, finelyRounded(scored)) };
}

/** `count` rounded up to one of sixteen steps per octave: at most a sixteenth is added. */
function finelyRounded(count: number): number {
  const step = Math.max(1, 2 ** Math.ceil(Math.log2(count)) / 32);
  return Math.ceil(count / step) * step;
}

function length({ prompt, chosen, rejected }: TokenizedPair): number {
  return prompt.length + 2 * Math.max(chosen.length, rejected.length);
}
