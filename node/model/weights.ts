/**
 * Which tensors a Llama-family checkpoint must hold, under their Hugging Face names. Linear weights are [out, in].
 */
import type { ModelConfig } from './config.ts';
import { projectionPath, projectionShape, TARGET_MODULES } from './projections.ts';

/** Every tensor that the forward pass reads, with its shape. Others in a file (old rotary buffers) are left alone. */
export function expectedTensors(config: ModelConfig): ReadonlyMap<string, readonly number[]> {
  const { hiddenSize, headDim, vocabSize } = config;
  const tensors = new Map<string, readonly number[]>([['model.embed_tokens.weight', [vocabSize, hiddenSize]]]);
  for (let layer = 0; layer < config.layers; layer++) {
    const add = (name: string, ...shape: number[]) => tensors.set(`model.layers.${layer}.${name}`, shape);
    add('input_layernorm.weight', hiddenSize);
    if (config.queryKeyNorm) {
      add('self_attn.q_norm.weight', headDim);
      add('self_attn.k_norm.weight', headDim);
    }
    for (const target of TARGET_MODULES) {
      if (target === 'gate_proj') add('post_attention_layernorm.weight', hiddenSize);
      const [out, width] = projectionShape(config, target);
      add(`${projectionPath(target)}.weight`, out, width);
      if (config.biases.includes(target)) add(`${projectionPath(target)}.bias`, out);
    }
  }
  tensors.set('model.norm.weight', [hiddenSize]);
  if (!config.tiedHead) tensors.set('lm_head.weight', [vocabSize, hiddenSize]);
  return tensors;
}
