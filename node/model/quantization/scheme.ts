/**
 * The ways to hold a frozen weight in 4 bits, by the names the command line uses.
 */

export const QUANTIZATION_SCHEMES = ['nf4', 'int4'] as const;

export type QuantizationScheme = (typeof QUANTIZATION_SCHEMES)[number];
