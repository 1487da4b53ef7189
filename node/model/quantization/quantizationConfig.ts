/**
 * The field `quantization_config` of a `config.json`: how a checkpoint says that its weights are packed.
 *
 * NF4 says it as bitsandbytes does, so that its users find what they expect; int4 is ours alone.
 */
import { z } from 'zod';
import type { QuantizationScheme } from './scheme.ts';

const readableSchema = z.union([
  z.looseObject({
    quant_method: z.literal('bitsandbytes'),
    load_in_4bit: z.literal(true),
    bnb_4bit_quant_type: z.literal('nf4'),
    bnb_4bit_use_double_quant: z.literal(true),
  }),
  z.looseObject({ quant_method: z.literal('prefmesh'), scheme: z.literal('int4') }),
]);

/** Whether tensors of a checkpoint that says this can be read. */
export function isReadableQuantization(field: unknown): boolean {
  return readableSchema.safeParse(field).success;
}

/** What a checkpoint of ours says. */
export function quantizationConfig(scheme: QuantizationScheme): Readonly<Record<string, unknown>> {
  if (scheme === 'int4') return { quant_method: 'prefmesh', scheme };
  return {
    quant_method: 'bitsandbytes',
    load_in_4bit: true,
    load_in_8bit: false,
    bnb_4bit_quant_type: 'nf4',
    bnb_4bit_use_double_quant: true,
    bnb_4bit_quant_storage: 'uint8',
    bnb_4bit_compute_dtype: 'float32',
    llm_int8_skip_modules: ['lm_head'],
  };
}
