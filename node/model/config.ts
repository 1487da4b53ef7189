/**
 * `config.json` of a Hugging Face model folder, read into the few numbers that the forward pass needs.
 *
 * Both field styles are understood: `rope_theta` and `torch_dtype` (transformers 4), `rope_parameters` and `dtype`
 * (transformers 5). A feature that would change what the model computes and that the engine lacks is refused by name.
 */
import { isReadableQuantization } from './quantization/quantizationConfig.ts';
import { configSchema, firstIssue, invalid, unsupported, type ConfigFields } from './configFields.ts';
import { FAMILIES, familyOf, type Family } from './families.ts';
import { biasedProjections, layersWithoutRotary, slidingWindow } from './layerRules.ts';
import type { TargetModule } from './projections.ts';
import { ROTARY_SCALINGS, rotaryScalingFields, type RotaryScaling } from './rotaryScaling.ts';

export interface ModelConfig {
  readonly family: Family;
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
  readonly ropeScaling: RotaryScaling | null;
  /** Layers whose queries and keys are not rotated. */
  readonly noRopeLayers: readonly number[];
  /** Layers whose queries see no more than so many tokens, themselves included. */
  readonly slidingWindow: { readonly tokens: number; readonly layers: readonly number[] } | null;
  /** Whether queries and keys are normalised within each head, before they are rotated. */
  readonly queryKeyNorm: boolean;
  /** The projections that have a bias. */
  readonly biases: readonly TargetModule[];
  /** Whether the output head is the embedding matrix, so that `lm_head.weight` is absent. */
  readonly tiedHead: boolean;
  /** Longest sequence the model was made for, in tokens. */
  readonly maxPositions: number;
  /** Tokens that end a generated answer; the first is the one that training appends. May be empty. */
  readonly eosTokenIds: readonly number[];
  readonly bosTokenId: number | null;
}

/**
 * Reads the parsed JSON of `file` (named in errors only).
 *
 * @throws MODEL_CONFIG_INVALID naming the field; MODEL_UNSUPPORTED naming the architecture or feature
 */
export function parseModelConfig(json: unknown, file: string): ModelConfig {
  const family = architectureOf(json, file);
  const parsed = configSchema.safeParse(json);
  if (!parsed.success) throw firstIssue(file, [], parsed.error);
  const fields = parsed.data;
  refuseUnsupported(fields, file);

  const defaults = FAMILIES[family];
  const heads = fields.num_attention_heads;
  // The configuration classes take their default where the field is absent, and every head where it is null.
  const kvHeads = (fields.num_key_value_heads === undefined ? defaults.kvHeads : fields.num_key_value_heads) ?? heads;
  if (heads % kvHeads !== 0) throw invalid(file, 'num_key_value_heads', `does not divide ${heads} attention heads`);
  const headDim = fields.head_dim ?? defaults.headDim ?? fields.hidden_size / heads;
  if (!Number.isInteger(headDim)) throw invalid(file, 'hidden_size', `is not a multiple of ${heads} attention heads`);
  if (headDim % 2 !== 0) throw invalid(file, 'head_dim', 'is odd, rotary embedding needs an even width');
  const eos = fields.eos_token_id ?? [];
  const noRopeLayers = layersWithoutRotary(fields, family, file);

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
    ropeTheta: fields.rope_parameters?.rope_theta ?? fields.rope_theta ?? defaults.theta,
    ropeScaling: rotaryScaling(fields, file),
    noRopeLayers,
    slidingWindow: slidingWindow(fields, family, noRopeLayers, file),
    queryKeyNorm: family === 'qwen3',
    biases: biasedProjections(fields, family),
    tiedHead: fields.tie_word_embeddings ?? defaults.tiedHead,
    maxPositions: fields.max_position_embeddings ?? defaults.positions,
    eosTokenIds: Array.isArray(eos) ? eos : [eos],
    bosTokenId: fields.bos_token_id ?? null,
  };
}

/** The family comes first, so that a file of another architecture is told so and not blamed for its fields. */
function architectureOf(json: unknown, file: string): Family {
  if (typeof json !== 'object' || json === null || Array.isArray(json)) {
    throw invalid(file, '(root)', 'is not an object');
  }
  const { architectures, model_type: modelType } = json as { architectures?: unknown; model_type?: unknown };
  const name: unknown = Array.isArray(architectures) ? architectures[0] : modelType;
  if (typeof name !== 'string') throw invalid(file, 'architectures', 'is missing');
  const family = familyOf(name, Array.isArray(architectures) ? 'architecture' : 'model_type');
  if (family === undefined) throw unsupported(file, `architecture ${name}`);
  return family;
}

function refuseUnsupported(fields: ConfigFields, file: string): void {
  if (fields.hidden_act !== 'silu') throw unsupported(file, `activation ${fields.hidden_act}`);
  const share = fields.partial_rotary_factor ?? fields.rope_parameters?.partial_rotary_factor ?? 1;
  if (share !== 1) throw unsupported(file, `rotary embedding of a share of ${share} of each head`);
  const { quantization_config: quantization } = fields;
  if (quantization != null && !isReadableQuantization(quantization)) {
    throw unsupported(file, 'a quantised checkpoint other than NF4 of bitsandbytes with double quantisation');
  }
}

/** From `rope_parameters`, or from `rope_scaling` with its type under either name. */
function rotaryScaling(fields: ConfigFields, file: string): RotaryScaling | null {
  for (const field of ['rope_parameters', 'rope_scaling'] as const) {
    const given = fields[field];
    if (given == null) continue;
    // Families with two kinds of layer, none of which is covered, nest one object per kind.
    if (Object.values(given).some((value) => typeof value === 'object' && value !== null && 'rope_type' in value)) {
      throw unsupported(file, 'rotary embedding that differs by kind of layer');
    }
    const type = given.rope_type ?? given.type ?? 'default';
    if (!ROTARY_SCALINGS.includes(type)) throw unsupported(file, `rotary scaling of type ${type}`);
    const scaling = rotaryScalingFields[type as keyof typeof rotaryScalingFields].safeParse(given);
    if (!scaling.success) throw firstIssue(file, [field], scaling.error);
    if (scaling.data !== null) return scaling.data;
  }
  return null;
}
