/**
 * Lays tokenised pairs out for a preference graph.
 *
 * Attention sees rows. `shared`: one row per pair, `[prompt | chosen | rejected]`, positions of both completions going
 * on from the prompt. `apart`: two rows per pair, prompt and completion without a gap, the chosen ones first. Either way
 * padding is at the end of each part and never seen by a real token.
 *
 * All else sees tokens one after the other, without the padding: most of the arithmetic is there. `slots` and `places`
 * move them between the two.
 */

import { MASKED } from '../engine/composites/attention.ts';
import type { TokenizedPair } from './policy.ts';

export const ROW_LAYOUTS = ['shared', 'apart'] as const;
export type RowLayout = (typeof ROW_LAYOUTS)[number];

/** Extents of a preference graph. */
export interface PreferenceShape {
  readonly layout: RowLayout;
  readonly pairs: number;
  /** Most tokens of a prompt, and of a completion. */
  readonly prompt: number;
  readonly completion: number;
  /** Tokens that run through the layers: all of the rows, or fewer and then at least one more than the pairs have. */
  readonly tokens: number;
  /** Completion tokens that go through the head, those of both completions together. */
  readonly scored: number;
}

/** `[rows, time]` of what attention sees. */
export function rowExtents({
  layout,
  pairs,
  prompt,
  completion,
}: Pick<PreferenceShape, 'layout' | 'pairs' | 'prompt' | 'completion'>): [rows: number, time: number] {
  return layout === 'shared' ? [pairs, prompt + 2 * completion] : [2 * pairs, prompt + completion];
}

/** Whether the rows have padding that the layers are spared. */
export function isPacked(shape: PreferenceShape): boolean {
  const [rows, time] = rowExtents(shape);
  return shape.tokens < rows * time;
}

/** How many tokens the rows hold for a pair: its prompt once, or once for each completion. */
export function tokensInRows({ prompt, chosen, rejected }: TokenizedPair, layout: RowLayout): number {
  return (layout === 'shared' ? 1 : 2) * prompt.length + chosen.length + rejected.length;
}

export interface PreferenceRows {
  /** `[tokens]`: ids and positions. */
  readonly tokens: Int32Array;
  readonly positions: Int32Array;
  /** `[rows · time]`: which token stands there; at padding the last one, which is padding too. */
  readonly slots: Int32Array;
  /** `[tokens]`: where each token stands in the rows; padding at padding. */
  readonly places: Int32Array;
  /** `[scored]`, the tokens of all chosen completions before those of all rejected ones, then padding: */
  /** the token whose hidden state predicts it, */
  readonly scored: Int32Array;
  /** its id, */
  readonly targets: Int32Array;
  /** and, `[2 · pairs, scored]`, 1 in the row of the completion it belongs to. */
  readonly membership: Float32Array;
  /** `[pairs, prompt]`: 0 at a prompt's tokens, `MASKED` at its padding. */
  readonly padding: Float32Array;
}

/** The feeds of a graph of this shape. Pairs may be fewer than it has places for: the others are padding. */
export function layOutPairs(pairs: readonly TokenizedPair[], shape: PreferenceShape): PreferenceRows {
  const { layout, prompt, completion } = shape;
  const [rowCount, time] = rowExtents(shape);
  const rows: PreferenceRows = {
    tokens: new Int32Array(shape.tokens),
    positions: new Int32Array(shape.tokens),
    slots: new Int32Array(rowCount * time).fill(EMPTY),
    places: new Int32Array(shape.tokens).fill(EMPTY),
    scored: new Int32Array(shape.scored),
    targets: new Int32Array(shape.scored),
    membership: new Float32Array(2 * shape.pairs * shape.scored),
    // A pair that is all padding keeps its prompt visible, so that no row is without anything to attend to.
    padding: new Float32Array(shape.pairs * prompt),
  };
  const packed = isPacked(shape);
  let next = 0;
  const put = (tokens: readonly number[], slot: number, position: number): void => {
    for (const [i, token] of tokens.entries()) {
      const at = packed ? next++ : slot + i;
      rows.tokens[at] = token;
      rows.positions[at] = position + i;
      rows.slots[slot + i] = at;
      rows.places[at] = slot + i;
    }
  };
  let count = 0;
  for (const side of [0, 1]) {
    for (const [index, pair] of pairs.entries()) {
      const length = pair.prompt.length;
      const tokens = side === 0 ? pair.chosen : pair.rejected;
      const start = (layout === 'shared' ? index : side * shape.pairs + index) * time;
      const first = start + (layout === 'shared' ? prompt + side * completion : length);
      if (side === 0) rows.padding.fill(MASKED, index * prompt + length, (index + 1) * prompt);
      if (side === 0 || layout === 'apart') put(pair.prompt, start, 0);
      put(tokens, first, length);
      rows.targets.set(tokens, count);
      // The first token is predicted by the prompt's last one, each other by the one before it.
      for (let i = 0; i < tokens.length; i++) {
        rows.scored[count + i] = rows.slots[i === 0 ? start + length - 1 : first + i - 1]!;
      }
      const member = (side * shape.pairs + index) * shape.scored + count;
      rows.membership.fill(1, member, member + tokens.length);
      count += tokens.length;
    }
  }
  const emptySlot = rows.slots.indexOf(EMPTY);
  for (const [i, at] of rows.slots.entries()) if (at === EMPTY) rows.slots[i] = packed ? shape.tokens - 1 : i;
  for (const [i, slot] of rows.places.entries()) if (slot === EMPTY) rows.places[i] = packed ? emptySlot : i;
  return rows;
}

/** No token, or no place, yet. */
const EMPTY = -1;
