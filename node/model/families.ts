/**
 * The model families that one forward pass covers, and what their configuration classes assume where `config.json` is
 * silent. Source: the `configuration_*.py` files of Hugging Face transformers.
 */

export interface FamilyDefaults {
  /** What `architectures[0]` says. */
  readonly architecture: string;
  /** `max_position_embeddings`. */
  readonly positions: number;
  /** `rope_theta`. */
  readonly theta: number;
  /** `num_key_value_heads`; null counts every head. */
  readonly kvHeads: number | null;
  /** `head_dim`; null is the hidden size over the heads. */
  readonly headDim: number | null;
  /** `sliding_window` of a family whose every layer has one. */
  readonly slidingWindow: number | null;
  /** `tie_word_embeddings`. */
  readonly tiedHead: boolean;
  /** `no_rope_layer_interval`: every so-manieth layer leaves queries and keys unrotated. */
  readonly noRopeInterval: number | null;
}

const LLAMA = {
  architecture: 'LlamaForCausalLM',
  positions: 2048,
  theta: 10_000,
  kvHeads: null,
  headDim: null,
  slidingWindow: null,
  tiedHead: false,
  noRopeInterval: null,
} as const satisfies FamilyDefaults;

/** By `model_type`. SmolLM2 calls itself a Llama. */
export const FAMILIES = {
  llama: LLAMA,
  mistral: {
    ...LLAMA,
    architecture: 'MistralForCausalLM',
    positions: 131_072,
    kvHeads: 8,
    slidingWindow: 4096,
  },
  qwen2: { ...LLAMA, architecture: 'Qwen2ForCausalLM', positions: 32_768, kvHeads: 32 },
  qwen3: { ...LLAMA, architecture: 'Qwen3ForCausalLM', positions: 32_768, kvHeads: 32, headDim: 128 },
  smollm3: {
    ...LLAMA,
    architecture: 'SmolLM3ForCausalLM',
    positions: 32_768,
    theta: 2_000_000,
    kvHeads: 4,
    tiedHead: true,
    noRopeInterval: 4,
  },
} as const satisfies Record<string, FamilyDefaults>;

export type Family = keyof typeof FAMILIES;

export const SUPPORTED_ARCHITECTURES: readonly string[] = Object.values(FAMILIES).map(
  ({ architecture }) => architecture,
);

/** The family of an architecture or, where a file names none, of a `model_type`. */
export function familyOf(name: string, key: 'architecture' | 'model_type'): Family | undefined {
  const families = Object.keys(FAMILIES) as Family[];
  return families.find((family) => (key === 'architecture' ? FAMILIES[family].architecture : family) === name);
}
