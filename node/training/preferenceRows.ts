/**
 * Lays tokenised pairs out as the rows of a preference graph.
 *
 * `shared`: one row per pair, `[prompt | chosen | rejected]`, positions of both completions going on from the prompt.
 * `apart`: two rows per pair, prompt and completion without a gap, the chosen ones first. Either way padding is at the
 * end of each part and never seen by a real token.
 */

import { MASKED } from '../engine/composites/attention.ts';
import type { TokenizedPair } from './policy.ts';

export const ROW_LAYOUTS = ['shared', 'apart'] as const;
export type RowLayout = (typeof ROW_LAYOUTS)[number];

/** Extents of a preference graph. */
export interface PreferenceShape {
  readonly layout: RowLayout;
  /** Pairs; those beyond the given ones are padding. */
  readonly pairs: number;
  /** Most tokens of a prompt, and of a completion. */
  readonly prompt: number;
  readonly completion: number;
}

/** `[rows, time]` of the token matrix. */
export function rowExtents({ layout, pairs, prompt, completion }: PreferenceShape): [rows: number, time: number] {
  return layout === 'shared' ? [pairs, prompt + 2 * completion] : [2 * pairs, prompt + completion];
}

export interface PreferenceRows {
  /** `[rows, time]`. */
  readonly tokens: Int32Array;
  readonly positions: Int32Array;
  /** `[2 · pairs · completion]`, all chosen completions before all rejected ones, each padded to `completion`: */
  /** the row-major index of the hidden state that predicts the token, */
  readonly scored: Int32Array;
  /** the token, */
  readonly targets: Int32Array;
  /** and 1 where there is one, 0 at padding. */
  readonly mask: Float32Array;
  /** `[pairs, prompt]`: 0 at a prompt's tokens, `MASKED` at its padding. */
  readonly padding: Float32Array;
}

export function layOutPairs(pairs: readonly TokenizedPair[], shape: PreferenceShape): PreferenceRows {
  const { layout, prompt, completion } = shape;
  const [rowCount, time] = rowExtents(shape);
  const scoredCount = 2 * shape.pairs * completion;
  const rows: PreferenceRows = {
    tokens: new Int32Array(rowCount * time),
    positions: new Int32Array(rowCount * time),
    scored: new Int32Array(scoredCount),
    targets: new Int32Array(scoredCount),
    mask: new Float32Array(scoredCount),
    // A pair that is all padding keeps its prompt visible, so that no row is without anything to attend to.
    padding: new Float32Array(shape.pairs * prompt),
  };
  const put = (tokens: readonly number[], at: number, position: number): void => {
    rows.tokens.set(tokens, at);
    for (let i = 0; i < tokens.length; i++) rows.positions[at + i] = position + i;
  };
  for (const [index, pair] of pairs.entries()) {
    const length = pair.prompt.length;
    rows.padding.fill(MASKED, index * prompt + length, (index + 1) * prompt);
    for (const [side, tokens] of [pair.chosen, pair.rejected].entries()) {
      const row = layout === 'shared' ? index : side * shape.pairs + index;
      const start = row * time;
      const first = start + (layout === 'shared' ? prompt + side * completion : length);
      put(pair.prompt, start, 0);
      put(tokens, first, length);
      const slot = (side * shape.pairs + index) * completion;
      rows.targets.set(tokens, slot);
      rows.mask.fill(1, slot, slot + tokens.length);
      // The first token is predicted by the prompt's last one, each other by the one before it.
      for (let i = 0; i < tokens.length; i++) rows.scored[slot + i] = i === 0 ? start + length - 1 : first + i - 1;
    }
  }
  return rows;
}
