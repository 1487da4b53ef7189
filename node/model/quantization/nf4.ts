/**
 * NF4 (Dettmers et al. 2023, "QLoRA", section 3): sixteen levels at the quantiles of a normal distribution, scaled by
 * the largest magnitude of every 64 weights; and double quantisation, which keeps those magnitudes in 8 bits. Together
 * 4.127 bits a weight.
 *
 * The layout is that of bitsandbytes: weights row by row, blocks running over the ends of rows, two codes a byte with
 * the earlier weight in the high half, magnitudes less their mean in the dynamic 8-bit type. The arithmetic follows its
 * CUDA kernels, in float32 step by step, with nothing that a machine could round otherwise:
 *
 * - `m = max |w|` of the block, `inverse = 1 / m`, `x = w · inverse`; the code is how many half-way points lie below `x`.
 *   A weight on a half-way point thus takes the lower level.
 * - A block whose `inverse` is not finite (all zeros, or nothing above 2^-128) has every code at the zero level.
 * - `offset` is the mean of all `m`: summed in their order in float64, divided, then rounded to float32. (The one
 *   figure that bitsandbytes leaves to the order in which a device adds.)
 * - `m - offset` goes into the dynamic type; back comes `map[code] · scale + offset`, rounded twice.
 */
import { NF4_LEVELS } from '../../engine/byteTable.ts';
import { dequantizeDynamic, quantizeDynamic } from './dynamicMap.ts';

/** Weights that share one scale. */
export const NF4_BLOCK = 64;

/** Half-way points between neighbouring levels. */
const HALFWAY = Float32Array.from({ length: 15 }, (_, i) => (NF4_LEVELS[i]! + NF4_LEVELS[i + 1]!) / 2);

/** Each half of [-1, 1] in cells so narrow that none holds two half-way points: one comparison then finds a code. */
const CELLS = 64;

/** How many half-way points lie below each cell; one cell more for 1 itself. */
const BELOW = Uint8Array.from({ length: 2 * CELLS + 1 }, (_, cell) => {
  return HALFWAY.filter((point) => point < cell / CELLS - 1).length;
});

const ZERO = NF4_LEVELS.indexOf(0);

export interface Nf4Weights {
  /** Two codes a byte; an odd last byte ends in the zero level. */
  readonly codes: Uint8Array;
  /** One byte a block. */
  readonly absmax: Uint8Array;
  /** One a 256 blocks. */
  readonly nestedAbsmax: Float32Array;
  /** Mean magnitude of the blocks. */
  readonly offset: number;
}

/** Quantises finite weights, given row by row. */
export function quantizeNf4(weights: Float32Array): Nf4Weights {
  const codes = new Uint8Array(Math.ceil(weights.length / 2));
  const magnitudes = new Float32Array(Math.ceil(weights.length / NF4_BLOCK));
  for (let block = 0; block < magnitudes.length; block++) {
    const start = block * NF4_BLOCK;
    const end = Math.min(weights.length, start + NF4_BLOCK);
    let magnitude = 0;
    for (let i = start; i < end; i++) magnitude = Math.max(magnitude, Math.abs(weights[i]!));
    magnitudes[block] = magnitude;
    const inverse = Math.fround(1 / magnitude);
    const codeAt = (i: number): number => {
      return i < end && Number.isFinite(inverse) ? codeOf(Math.fround(weights[i]! * inverse)) : ZERO;
    };
    for (let i = start; i < end; i += 2) codes[i >> 1] = (codeAt(i) << 4) | codeAt(i + 1);
  }

  let total = 0;
  for (const magnitude of magnitudes) total += magnitude;
  const offset = Math.fround(total / magnitudes.length);
  const { codes: absmax, scales: nestedAbsmax } = quantizeDynamic(magnitudes.map((magnitude) => magnitude - offset));
  return { codes, absmax, nestedAbsmax, offset };
}

/** The magnitude of every block. */
function nf4Magnitudes({ absmax, nestedAbsmax, offset }: Nf4Weights): Float32Array {
  return dequantizeDynamic({ codes: absmax, scales: nestedAbsmax }).map((each) => each + offset);
}

/** The first `count` weights: `level · magnitude`, rounded to float32. */
export function dequantizeNf4(quantized: Nf4Weights, count: number): Float32Array {
  const magnitudes = nf4Magnitudes(quantized);
  return Float32Array.from({ length: count }, (_, i) => {
    const byte = quantized.codes[i >> 1]!;
    return NF4_LEVELS[i % 2 === 0 ? byte >> 4 : byte & 15]! * magnitudes[Math.floor(i / NF4_BLOCK)]!;
  });
}

/** How many half-way points lie below `x`, in [-1, 1] but for a rounding. */
function codeOf(x: number): number {
  const code = BELOW[Math.trunc((x + 1) * CELLS)]!;
  return x > HALFWAY[code]! ? code + 1 : code;
}
