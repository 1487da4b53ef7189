/**
 * What a byte of two 4-bit codes stands for, before scaling.
 */
import { NF4_LEVELS } from './nf4.ts';
import type { QuantizationScheme } from './scheme.ts';

const TABLES: Readonly<Record<QuantizationScheme, Float32Array>> = {
  nf4: tableOf((byte) => [NF4_LEVELS[byte >> 4]!, NF4_LEVELS[byte & 15]!]),
  int4: tableOf((byte) => [(byte & 15) - 8, (byte >> 4) - 8]),
};

/** `[256, 2]`: the earlier and the later weight of every byte. One array a scheme, so that graphs can tell it is equal. */
export function byteTable(scheme: QuantizationScheme): Float32Array {
  return TABLES[scheme];
}

function tableOf(pair: (byte: number) => readonly [number, number]): Float32Array {
  return Float32Array.from(Array.from({ length: 256 }, (_, byte) => pair(byte)).flat());
}
