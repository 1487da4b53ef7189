/**
 * Documents side by side in rows of equal length, for training at fixed shapes.
 *
 * Every row begins with a whole document, as in use, and no document is cut: each goes into the open row that it
 * fills best. Only the learnt parts weigh in the loss, not what is given nor the padding at a row's end.
 */

export interface TokenDocument {
  /** Tokens that the rest goes on from. */
  readonly given: readonly number[];
  readonly learnt: readonly number[];
  /** How much each learnt token weighs in the loss; 1 where absent. */
  readonly weights?: readonly number[];
}

export interface PackedBatch {
  /** `[rows, length + 1]` */
  readonly tokens: Int32Array;
  /** `[rows, length]`: the weight of the predicted token, 0 where it is not learnt. */
  readonly mask: Float32Array;
}

/** Packs documents from the source, in order, until `rows` rows can take no more of them. */
export function packBatch(
  next: () => TokenDocument,
  { rows, length, padding }: { readonly rows: number; readonly length: number; readonly padding: number },
): PackedBatch {
  const width = length + 1;
  const tokens = new Int32Array(rows * width).fill(padding);
  const mask = new Float32Array(rows * length);
  const used = Array.from({ length: rows }, () => 0);
  for (;;) {
    const { given, learnt, weights = learnt.map(() => 1) } = next();
    const size = given.length + learnt.length;
    if (size > width) throw new RangeError(`a document of ${size} tokens does not fit into rows of ${width}`);
    const row = bestRow(used, size, width);
    if (row === undefined) return { tokens, mask };
    const start = used[row] as number;
    tokens.set([...given, ...learnt], row * width + start);
    mask.set(weights, row * length + start + given.length - 1); // position p predicts token p + 1
    used[row] = start + size;
  }
}

/** The fullest row that still has room. */
function bestRow(used: readonly number[], size: number, width: number): number | undefined {
  let best: number | undefined;
  for (const [row, filled] of used.entries()) {
    if (filled + size <= width && (best === undefined || filled > (used[best] as number))) best = row;
  }
  return best;
}
