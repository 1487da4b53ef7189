/**
 * Blockwise int4: sixteen equal steps over every 32 weights of a row, zero in their midst. 5 bits a weight.
 *
 * The layout is that of ONNX Runtime's MatMulNBits and of a blockwise DequantizeLinear of uint4, which share their
 * bytes: rows apart, two codes a byte with the earlier weight in the low half, zero point 8. In float32 step by step:
 *
 * - `extreme` is the block's weight of largest magnitude, the first of several; `scale = extreme / -8`, which is exact.
 *   So the extreme is code 0, whatever its sign, and the scale may be negative.
 * - `inverse = 1 / scale`; the code is the whole part of `w · inverse + 8.5`, each rounded to float32, at most 15.
 * - A block whose `inverse` is not finite has every code at 8, which is zero.
 */

/** Weights that share one scale. A row is a whole number of blocks. */
export const INT4_BLOCK = 32;

const ZERO = 8;

export interface Int4Weights {
  /** Two codes a byte. */
  readonly codes: Uint8Array;
  /** One a block. */
  readonly scales: Float32Array;
}

/** Quantises finite weights, given row by row, in whole blocks. */
export function quantizeInt4(weights: Float32Array): Int4Weights {
  const codes = new Uint8Array(weights.length / 2);
  const scales = new Float32Array(weights.length / INT4_BLOCK);
  for (let block = 0; block < scales.length; block++) {
    const start = block * INT4_BLOCK;
    let extreme = 0;
    for (let i = start; i < start + INT4_BLOCK; i++) {
      if (Math.abs(weights[i]!) > Math.abs(extreme)) extreme = weights[i]!;
    }
    const scale = Math.fround(extreme / -8);
    scales[block] = scale;
    const inverse = Math.fround(1 / scale);
    const codeAt = (i: number): number => {
      if (!Number.isFinite(inverse)) return ZERO;
      const shifted = Math.fround(Math.fround(weights[i]! * inverse) + 8.5);
      return Math.min(15, Math.trunc(shifted));
    };
    for (let i = start; i < start + INT4_BLOCK; i += 2) codes[i >> 1] = codeAt(i) | (codeAt(i + 1) << 4);
  }
  return { codes, scales };
}

/** The weights: `(code - 8) · scale`, rounded to float32. */
export function dequantizeInt4({ codes, scales }: Int4Weights): Float32Array {
  return Float32Array.from({ length: codes.length * 2 }, (_, i) => {
    const byte = codes[i >> 1]!;
    return ((i % 2 === 0 ? byte & 15 : byte >> 4) - ZERO) * scales[Math.floor(i / INT4_BLOCK)]!;
  });
}
