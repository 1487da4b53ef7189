/**
 * `config.json` of a Hugging Face model folder, read into the few numbers that the forward pass needs.
 *
 * Both field styles are understood: `rope_theta` and `torch_dtype` (transformers 4), `rope_parameters` and `dtype`
 * (transformers 5). A feature that would change what the model computes and that the engine lacks is refused by name.
 */
import { z } from 'zod';
import { PrefmeshError } from '../../protocol/errors.ts';

export interface ModelConfig {
  readonly family: 'llama' | 'qwen2';
  readonly hiddenSize: number;
  readonly intermediateSize: number;
  readonly layers: number;
  readonly heads: number;
  readonly kvHeads: number;
  /** Width of one head. Usually hiddenSize / heads, but the file may say otherwise. */
  readonly headDim: number;
  readonly vocabSize: number;
  readonly rmsNormEps: number;
  readonly ropeTheta: number;
  /** Whether the output head is the embedding matrix, so that `lm_head.weight` is absent. */
  readonly tiedHead: boolean;
  /** Whether the q, k and v projections have a bias. */
  readonly qkvBias: boolean;
  /** Longest sequence the model was made for, in tokens. */
  readonly maxPositions: number;
  /** Tokens that end a generated answer; the first is the one that training appends. May be empty. */
  readonly eosTokenIds: readonly number[];
  readonly bosTokenId: number | null;
}

/** What `architectures[0]` may be, and the family each stands for. */
const ARCHITECTURES: Readonly<Record<string, ModelConfig['family']>> = {
  LlamaForCausalLM: 'llama',
  Qwen2ForCausalLM: 'qwen2',
};

export const SUPPORTED_ARCHITECTURES: readonly string[] = Object.keys(ARCHITECTURES);

/** `max_position_embeddings` where the file leaves it out: the default of the family's configuration class. */
const DEFAULT_POSITIONS = { llama: 2048, qwen2: 32768 } as const;

const size = z
  .int()
  .positive()
  .max(2 ** 24);
const tokenId = z
  .int()
  .nonnegative()
  .max(2 ** 31);
const rope = z.looseObject({
  rope_theta: z.number().positive().optional(),
  rope_type: z.string().optional(),
  type: z.string().optional(),
});

const schema = z.looseObject({
  architectures: z.array(z.string()).min(1).optional(),
  model_type: z.string().optional(),
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
  tie_word_embeddings: z.boolean().default(false),
  attention_bias: z.boolean().nullish(),
  mlp_bias: z.boolean().nullish(),
  hidden_act: z.string().default('silu'),
  use_sliding_window: z.boolean().nullish(),
  max_position_embeddings: size.nullish(),
  eos_token_id: z.union([tokenId, z.array(tokenId)]).nullish(),
  bos_token_id: tokenId.nullish(),
  quantization_config: z.unknown().optional(),
});

/**
 * Reads the parsed JSON of `file` (named in errors only).
 *
 * @throws MODEL_CONFIG_INVALID naming the field; MODEL_UNSUPPORTED naming the architecture or feature
 */
export function parseModelConfig(json: unknown, file: string): ModelConfig {
  const family = architectureOf(json, file);
  const parsed = schema.safeParse(json);
  if (!parsed.success) {
    const issue = parsed.error.issues[0];
    throw invalid(file, issue?.path.join('.') || '(root)', issue?.message ?? 'is invalid');
  }
  const fields = parsed.data;
  refuseUnsupported(fields, family, file);

  const heads = fields.num_attention_heads;
  const kvHeads = fields.num_key_value_heads ?? heads;
  if (heads % kvHeads !== 0) throw invalid(file, 'num_key_value_heads', `does not divide ${heads} attention heads`);
  const headDim = fields.head_dim ?? fields.hidden_size / heads;
  if (!Number.isInteger(headDim)) throw invalid(file, 'hidden_size', `is not a multiple of ${heads} attention heads`);
  if (headDim % 2 !== 0) throw invalid(file, 'head_dim', 'is odd, rotary embedding needs an even width');
  const eos = fields.eos_token_id ?? [];

  return {
    family,
    hiddenSize: fields.hidden_size,
    intermediateSize: fields.intermediate_size,
    layers: fields.num_hidden_layers,
    heads,
    kvHeads,
    headDim,
    vocabSize: fields.vocab_size,
    rmsNormEps: fields.rms_norm_eps,
    ropeTheta: fields.rope_parameters?.rope_theta ?? fields.rope_theta ?? 10000,
    tiedHead: fields.tie_word_embeddings,
    qkvBias: family === 'qwen2',
    maxPositions: fields.max_position_embeddings ?? DEFAULT_POSITIONS[family],
    eosTokenIds: Array.isArray(eos) ? eos : [eos],
    bosTokenId: fields.bos_token_id ?? null,
  };
}

/** The family comes first, so that a file of another architecture is told so and not blamed for its fields. */
function architectureOf(json: unknown, file: string): ModelConfig['family'] {
  if (typeof json !== 'object' || json === null || Array.isArray(json)) {
    throw invalid(file, '(root)', 'is not an object');
  }
  const { architectures, model_type: modelType } = json as { architectures?: unknown; model_type?: unknown };
  const name: unknown = Array.isArray(architectures) ? architectures[0] : modelType;
  if (typeof name !== 'string') throw invalid(file, 'architectures', 'is missing');
  const family =
    ARCHITECTURES[name] ??
    (Array.isArray(architectures) ? undefined : Object.values(ARCHITECTURES).find((f) => f === name));
  if (family === undefined) throw unsupported(file, `architecture ${name}`);
  return family;
}

function refuseUnsupported(fields: z.infer<typeof schema>, family: ModelConfig['family'], file: string): void {
  for (const scaling of [fields.rope_scaling, fields.rope_parameters]) {
    const type = scaling?.rope_type ?? scaling?.type ?? 'default';
    if (type !== 'default') throw unsupported(file, `rotary scaling of type ${type}`);
  }
  if (fields.hidden_act !== 'silu') throw unsupported(file, `activation ${fields.hidden_act}`);
  if (fields.mlp_bias) throw unsupported(file, 'mlp_bias');
  if (family === 'llama' && fields.attention_bias) throw unsupported(file, 'attention_bias on a Llama model');
  if (fields.use_sliding_window) throw unsupported(file, 'sliding-window attention');
  if (fields.quantization_config != null) throw unsupported(file, 'a quantised checkpoint');
}

function invalid(file: string, field: string, problem: string): PrefmeshError {
  return new PrefmeshError('MODEL_CONFIG_INVALID', { file, field, problem });
}

function unsupported(file: string, feature: string): PrefmeshError {
  return new PrefmeshError('MODEL_UNSUPPORTED', { file, feature, supported: SUPPORTED_ARCHITECTURES.join(', ') });
}
