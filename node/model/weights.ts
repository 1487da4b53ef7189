/**
 * Which tensors a Llama-family checkpoint must hold, under their Hugging Face names. Linear weights are [out, in].
 */
import type { ModelConfig } from './config.ts';

/** Every tensor that the forward pass reads, with its shape. Others in a file (old rotary buffers) are left alone. */
export function expectedTensors(config: ModelConfig): ReadonlyMap<string, readonly number[]> {
  const { hiddenSize, intermediateSize, headDim, vocabSize } = config;
  const queryWidth = config.heads * headDim;
  const keyWidth = config.kvHeads * headDim;
  const tensors = new Map<string, readonly number[]>([['model.embed_tokens.weight', [vocabSize, hiddenSize]]]);
  for (let layer = 0; layer < config.layers; layer++) {
    const add = (name: string, ...shape: number[]) => tensors.set(`model.layers.${layer}.${name}`, shape);
    add('input_layernorm.weight', hiddenSize);
    add('self_attn.q_proj.weight', queryWidth, hiddenSize);
    add('self_attn.k_proj.weight', keyWidth, hiddenSize);
    add('self_attn.v_proj.weight', keyWidth, hiddenSize);
    if (config.qkvBias) {
      add('self_attn.q_proj.bias', queryWidth);
      add('self_attn.k_proj.bias', keyWidth);
      add('self_attn.v_proj.bias', keyWidth);
    }
    add('self_attn.o_proj.weight', hiddenSize, queryWidth);
    add('post_attention_layernorm.weight', hiddenSize);
    add('mlp.gate_proj.weight', intermediateSize, hiddenSize);
    add('mlp.up_proj.weight', intermediateSize, hiddenSize);
    add('mlp.down_proj.weight', hiddenSize, intermediateSize);
  }
  tensors.set('model.norm.weight', [hiddenSize]);
  if (!config.tiedHead) tensors.set('lm_head.weight', [vocabSize, hiddenSize]);
  return tensors;
}
