/**
 * Which layers and projections of a family are special, by the rules of its configuration class.
 */
import type { ModelConfig } from './config.ts';
import { invalid, unsupported, type ConfigFields } from './configFields.ts';
import { FAMILIES, type Family } from './families.ts';
import type { TargetModule } from './projections.ts';

/** `no_rope_layers` holds 1 for a layer that rotates and 0 for one that does not. */
export function layersWithoutRotary(fields: ConfigFields, family: Family, file: string): number[] {
  const { noRopeInterval } = FAMILIES[family];
  if (noRopeInterval === null) return [];
  const { no_rope_layers: listed, num_hidden_layers: layers } = fields;
  if (listed != null && listed.length < layers) {
    throw invalid(file, 'no_rope_layers', `has ${listed.length} entries for ${layers} layers`);
  }
  const interval = fields.no_rope_layer_interval ?? noRopeInterval;
  const rotates = (layer: number) => (listed == null ? (layer + 1) % interval !== 0 : listed[layer] === 1);
  return layersOf(fields).filter((layer) => !rotates(layer));
}

/**
 * Mistral's window holds in every layer and is there unless it is null. The others have one only when they say so, in
 * the layers that `layer_types` names or else: Qwen in those from `max_window_layers` on, SmolLM3 in the unrotated ones.
 */
export function slidingWindow(
  fields: ConfigFields,
  family: Family,
  noRopeLayers: readonly number[],
  file: string,
): ModelConfig['slidingWindow'] {
  const all = layersOf(fields);
  if (family === 'llama') return null;
  if (family === 'mistral') {
    const given = fields.sliding_window;
    const tokens = given === undefined ? FAMILIES.mistral.slidingWindow : given;
    return tokens === null ? null : { tokens, layers: all };
  }
  const types = fields.layer_types;
  const other = types?.find((type) => type !== 'full_attention' && type !== 'sliding_attention');
  if (other !== undefined) throw unsupported(file, `a layer of type ${other}`);
  if (types != null && types.length < all.length) {
    throw invalid(file, 'layer_types', `has ${types.length} entries for ${all.length} layers`);
  }
  if (fields.use_sliding_window !== true) return null;
  const tokens = fields.sliding_window;
  if (tokens == null) throw invalid(file, 'sliding_window', 'is missing though use_sliding_window is true');
  const byRule =
    family === 'smollm3' ? noRopeLayers : all.filter((layer) => layer >= (fields.max_window_layers ?? WINDOWLESS));
  const layers = types == null ? byRule : all.filter((layer) => types[layer] === 'sliding_attention');
  return layers.length === 0 ? null : { tokens, layers };
}

/** `max_window_layers` of Qwen2 and Qwen3 where the file leaves it out. */
const WINDOWLESS = 28;

/** Qwen2 has biases always, Mistral never, the others where a flag of theirs is set. */
export function biasedProjections(fields: ConfigFields, family: Family): TargetModule[] {
  const biases: TargetModule[] = [];
  switch (family) {
    case 'qwen2':
      biases.push('q_proj', 'k_proj', 'v_proj');
      break;
    case 'llama':
    case 'qwen3':
    case 'smollm3':
      if (fields.attention_bias) biases.push('q_proj', 'k_proj', 'v_proj', 'o_proj');
      break;
    case 'mistral':
      break;
  }
  const mayBiasFeedForward = family === 'llama' || family === 'smollm3';
  if (mayBiasFeedForward && fields.mlp_bias) biases.push('gate_proj', 'up_proj', 'down_proj');
  return biases;
}

function layersOf({ num_hidden_layers: count }: ConfigFields): number[] {
  return Array.from({ length: count }, (_, layer) => layer);
}
