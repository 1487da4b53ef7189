/**
 * The ways to hold a frozen weight in 4 bits, by the names the command line uses.
 */
import type { PackingScheme } from '../../engine/byteTable.ts';

export const QUANTIZATION_SCHEMES = ['nf4', 'int4'] as const satisfies readonly PackingScheme[];

export type QuantizationScheme = PackingScheme;
