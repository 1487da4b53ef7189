/**
 * What a byte of two 4-bit codes stands for, before scaling.
 */

/** How weights are packed; `composites/quantizedLinear.ts` says more of each. */
export type PackingScheme = 'nf4' | 'int4';

/** The sixteen levels of NF4 (Dettmers et al. 2023, "QLoRA", appendix E), ascending. Kernels have them built in. */
export const NF4_LEVELS: Float32Array = Float32Array.of(
  -1,
  -0.6961928009986877,
  -0.5250730514526367,
  -0.39491748809814453,
  -0.28444138169288635,
  -0.18477343022823334,
  -0.09105003625154495,
  0,
  0.07958029955625534,
  0.16093020141124725,
  0.24611230194568634,
  0.33791524171829224,
  0.44070982933044434,
  0.5626170039176941,
  0.7229568362236023,
  1,
);

const TABLES: Readonly<Record<PackingScheme, Float32Array>> = {
  nf4: tableOf((byte) => [NF4_LEVELS[byte >> 4]!, NF4_LEVELS[byte & 15]!]),
  int4: tableOf((byte) => [(byte & 15) - 8, (byte >> 4) - 8]),
};

/** `[256, 2]`: the earlier and the later weight of every byte. One array a scheme, so that graphs can tell it is equal. */
export function byteTable(scheme: PackingScheme): Float32Array {
  return TABLES[scheme];
}

function tableOf(pair: (byte: number) => readonly [number, number]): Float32Array {
  return Float32Array.from(Array.from({ length: 256 }, (_, byte) => pair(byte)).flat());
}
