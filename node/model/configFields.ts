/**
 * The fields of `config.json` that the forward pass depends on, checked one by one, and the errors that name them.
 */
import { z } from 'zod';
import { PrefmeshError } from '../../protocol/errors.ts';
import { SUPPORTED_ARCHITECTURES } from './families.ts';

const size = z
  .int()
  .positive()
  .max(2 ** 24);
const tokenId = z
  .int()
  .nonnegative()
  .max(2 ** 31);
const endTokens = z.union([tokenId, z.array(tokenId)]).nullish();
const rope = z.looseObject({
  rope_theta: z.number().positive().optional(),
  rope_type: z.string().optional(),
  type: z.string().optional(),
  partial_rotary_factor: z.number().optional(),
});
const whenGiven = z.boolean().nullish();

export const configSchema = z.looseObject({
  hidden_size: size,
  intermediate_size: size,
  num_hidden_layers: size,
  num_attention_heads: size,
  num_key_value_heads: size.nullish(),
  head_dim: size.nullish(),
  vocab_size: size,
  rms_norm_eps: z.number().positive().max(1).default(1e-6),
  rope_theta: z.number().positive().nullish(),
  rope_scaling: rope.nullish(),
  rope_parameters: rope.nullish(),
  partial_rotary_factor: z.number().nullish(),
  no_rope_layers: z.array(z.int().min(0).max(1)).nullish(),
  no_rope_layer_interval: size.nullish(),
  sliding_window: size.nullish(),
  use_sliding_window: whenGiven,
  max_window_layers: z.int().nonnegative().nullish(),
  layer_types: z.array(z.string()).nullish(),
  tie_word_embeddings: whenGiven,
  attention_bias: whenGiven,
  mlp_bias: whenGiven,
  hidden_act: z.string().default('silu'),
  max_position_embeddings: size.nullish(),
  eos_token_id: endTokens,
  bos_token_id: tokenId.nullish(),
  quantization_config: z.unknown().optional(),
});

/** Of `generation_config.json`. */
export const generationFields = z.looseObject({ eos_token_id: endTokens });

export type ConfigFields = z.infer<typeof configSchema>;

/** The first fault that a schema found, `within` a field. */
export function firstIssue(file: string, within: readonly string[], error: z.ZodError): PrefmeshError {
  const issue = error.issues[0];
  const field = [...within, ...(issue?.path ?? [])].join('.');
  return invalid(file, field || '(root)', issue?.message ?? 'is invalid');
}

export function invalid(file: string, field: string, problem: string): PrefmeshError {
  return new PrefmeshError('MODEL_CONFIG_INVALID', { file, field, problem });
}

export function unsupported(file: string, feature: string): PrefmeshError {
  return new PrefmeshError('MODEL_UNSUPPORTED', { file, feature, supported: SUPPORTED_ARCHITECTURES.join(', ') });
}
