/**
 * What llama.cpp calls a model family and its tensors, and how it orders the rows of q and k.
 *
 * Hugging Face rotates the first half of a head against the second half; llama.cpp's `llama` architecture rotates
 * neighbours. Both are the same rotation once the rows of a head are interleaved, so its files hold q and k that way,
 * and an adapter's B must follow. The Qwen architectures rotate halves in llama.cpp too and are left alone.
 */
import { PrefmeshError } from '../../protocol/errors.ts';
import type { ModelConfig } from '../model/config.ts';

export interface GgufArchitecture {
  readonly name: string;
  /** Whether the rows of q and k are interleaved. */
  readonly interleaved: boolean;
}

const ARCHITECTURES: Readonly<Record<string, GgufArchitecture>> = {
  llama: { name: 'llama', interleaved: true },
  mistral: { name: 'llama', interleaved: true },
  smollm3: { name: 'smollm3', interleaved: true },
  qwen2: { name: 'qwen2', interleaved: false },
  qwen3: { name: 'qwen3', interleaved: false },
};

/** @throws EXPORT_UNSUPPORTED */
export function ggufArchitecture({ family }: ModelConfig, source: string): GgufArchitecture {
  const architecture = ARCHITECTURES[family];
  if (architecture !== undefined) return architecture;
  throw new PrefmeshError('EXPORT_UNSUPPORTED', {
    source,
    format: 'GGUF',
    problem: `llama.cpp has no architecture for the family ${family}`,
    hint: 'export the adapter as peft instead',
  });
}

const OUTER: Readonly<Record<string, string>> = {
  'model.embed_tokens': 'token_embd',
  'model.norm': 'output_norm',
  lm_head: 'output',
};

const WITHIN_LAYER: Readonly<Record<string, string>> = {
  input_layernorm: 'attn_norm',
  'self_attn.q_proj': 'attn_q',
  'self_attn.k_proj': 'attn_k',
  'self_attn.v_proj': 'attn_v',
  'self_attn.o_proj': 'attn_output',
  'self_attn.q_norm': 'attn_q_norm',
  'self_attn.k_norm': 'attn_k_norm',
  post_attention_layernorm: 'ffn_norm',
  'mlp.gate_proj': 'ffn_gate',
  'mlp.up_proj': 'ffn_up',
  'mlp.down_proj': 'ffn_down',
};

/** `model.layers.3.self_attn.q_proj.weight` → `blk.3.attn_q.weight`. */
export function ggufTensorName(name: string): string {
  const [, layer, path, kind] = /^(?:model\.layers\.(\d+)\.)?(.+)\.(weight|bias)$/.exec(name) ?? [];
  const known = layer === undefined ? OUTER[path ?? ''] : WITHIN_LAYER[path ?? ''];
  if (known === undefined) throw new Error(`no GGUF name for ${name}`);
  return layer === undefined ? `${known}.${kind}` : `blk.${layer}.${known}.${kind}`;
}

/** How many heads the rows of a tensor divide into, where its rows are rotated: q and k, weight and bias. */
export function rotatedHeads({ heads, kvHeads }: ModelConfig, name: string): number | undefined {
  if (/\.q_proj\./.test(name)) return heads;
  return /\.k_proj\./.test(name) ? kvHeads : undefined;
}

/** Interleaves the two halves of each head's rows: row 2i from the first half, 2i + 1 from the second. */
export function interleaveHeads(values: Float32Array, heads: number, rows: number): Float32Array {
  const width = values.length / rows;
  const perHead = rows / heads;
  const half = perHead / 2;
  const ordered = new Float32Array(values.length);
  for (let row = 0; row < rows; row++) {
    const within = row % perHead;
    const from = row - within + (within >> 1) + (within & 1) * half;
    ordered.set(values.subarray(from * width, (from + 1) * width), row * width);
  }
  return ordered;
}
