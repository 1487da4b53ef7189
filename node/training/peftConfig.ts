/**
 * `adapter_config.json` of a PEFT folder: how its tensors are to be used, once everything in it is known to be plain
 * LoRA. Source: https://huggingface.co/docs/peft (LoraConfig).
 */
import { join } from 'node:path';
import { z } from 'zod';
import { PrefmeshError } from '../../protocol/errors.ts';
import { readJsonFile } from '../model/jsonFile.ts';

export const ADAPTER_CONFIG = 'adapter_config.json';

export interface AdapterConfig {
  readonly rank: number;
  /** With the effect of the scaling folded in: `alpha / rank` multiplies B A. */
  readonly alpha: number;
  /** `lora_alpha` as the file has it. */
  readonly givenAlpha: number;
  readonly rankStabilised: boolean;
  /** Whether the folder may hold no tensors for a projection of this layer. */
  readonly mayLeaveOut: (layer: number) => boolean;
}

const schema = z.looseObject({
  peft_type: z.literal('LORA'),
  r: z.int().positive().default(8),
  lora_alpha: z.number().positive().default(8),
  use_rslora: z.boolean().nullish(),
  target_modules: z.union([z.string(), z.array(z.string())]).nullish(),
  layers_to_transform: z.union([z.int(), z.array(z.int())]).nullish(),
});

/** Ways to initialise that leave the base as it is. Others (pissa, olora, loftq) put a part of it into the adapter. */
const HARMLESS_INITIALISATIONS = new Set<unknown>([true, false, 'gaussian', 'eva', 'orthogonal']);

/** Fields that would change what the adapter computes, and the values under which they do not. */
const NEUTRAL: Readonly<Record<string, (value: unknown) => boolean>> = {
  use_dora: isFalse,
  use_qalora: isFalse,
  fan_in_fan_out: isFalse,
  lora_bias: isFalse,
  bias: (value) => value === 'none',
  init_lora_weights: (value) => HARMLESS_INITIALISATIONS.has(value),
  rank_pattern: isEmpty,
  alpha_pattern: isEmpty,
  modules_to_save: isEmpty,
  trainable_token_indices: isEmpty,
  target_parameters: isEmpty,
  layer_replication: isEmpty,
  alora_invocation_tokens: isEmpty,
};

/** @throws ADAPTER_INVALID naming the field */
export async function readAdapterConfig(folder: string): Promise<AdapterConfig> {
  const file = join(folder, ADAPTER_CONFIG);
  const read = await readJsonFile(file, (problem, cause) => invalid(file, '(file)', problem, cause));
  if (!read.found) throw invalid(file, '(file)', 'is missing');
  const parsed = schema.safeParse(read.json);
  if (!parsed.success) {
    const issue = parsed.error.issues[0];
    throw invalid(file, issue?.path.join('.') || '(root)', issue?.message ?? 'is invalid');
  }
  for (const [field, isNeutral] of Object.entries(NEUTRAL)) {
    const value = parsed.data[field];
    if (value != null && !isNeutral(value)) throw invalid(file, field, 'is set, which is not supported');
  }
  const { r: rank, lora_alpha: givenAlpha, use_rslora: stabilised } = parsed.data;
  const { target_modules: targets, layers_to_transform: layers } = parsed.data;
  const listed = layers == null ? null : new Set([layers].flat());
  // A regular expression may choose modules in any way; `all-linear` chooses all.
  const byExpression = typeof targets === 'string' && targets !== 'all-linear';
  return {
    rank,
    alpha: stabilised ? givenAlpha * Math.sqrt(rank) : givenAlpha,
    givenAlpha,
    rankStabilised: stabilised ?? false,
    mayLeaveOut: (layer) => byExpression || (listed !== null && !listed.has(layer)),
  };
}

function isFalse(value: unknown): boolean {
  return value === false;
}

function isEmpty(value: unknown): boolean {
  return typeof value === 'object' && value !== null && Object.keys(value).length === 0;
}

function invalid(file: string, part: string, problem: string, cause?: unknown): PrefmeshError {
  return new PrefmeshError('ADAPTER_INVALID', { file, part, problem }, cause === undefined ? {} : { cause });
}
