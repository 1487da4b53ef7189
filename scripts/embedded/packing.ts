/**
 * Documents side by side in rows of equal length, for training at fixed shapes.
 *
 * Every row begins with a whole document, as in use, and no document is cut: each goes into the open row that it
 * fills best. Only the answers and their end tokens are learnt; prompts and the padding at a row's end weigh nothing.
 */

export interface TokenDocument {
  readonly prompt: readonly number[];
  /** The answer's tokens, its end token included. */
  readonly answer: readonly number[];
}

export interface PackedBatch {
  /** `[rows, length + 1]` */
  readonly tokens: Int32Array;
  /** `[rows, length]`: 1 where the predicted token belongs to an answer, else 0. */
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
  const used = new Array<number>(rows).fill(0);
  for (;;) {
    const { prompt, answer } = next();
    const size = prompt.length + answer.length;
    if (size > width) throw new RangeError(`a document of ${size} tokens does not fit into rows of ${width}`);
    const row = bestRow(used, size, width);
    if (row === undefined) return { tokens, mask };
    const start = used[row] as number;
    tokens.set([...prompt, ...answer], row * width + start);
    mask.fill(1, row * length + start + prompt.length - 1, row * length + start + size - 1);
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
