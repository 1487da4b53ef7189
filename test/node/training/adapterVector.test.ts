import assert from 'node:assert/strict';
import { parseModelConfig } from '../../../node/model/config.ts';
import {
  adapterVectorLength,
  adapterVectorTable,
  TARGET_MODULES,
  type TargetModule,
} from '../../../node/training/adapterVector.ts';

/** The dimensions of public models, as their config.json has them. */
const SMOLLM2_135M = {
  hidden_size: 576,
  intermediate_size: 1536,
  num_hidden_layers: 30,
  num_attention_heads: 9,
  num_key_value_heads: 3,
  vocab_size: 49152,
};
const LLAMA_32_1B = {
  hidden_size: 2048,
  intermediate_size: 8192,
  num_hidden_layers: 16,
  num_attention_heads: 32,
  num_key_value_heads: 8,
  head_dim: 64,
  vocab_size: 128256,
};
const LLAMA_32_3B = {
  ...LLAMA_32_1B,
  hidden_size: 3072,
  num_hidden_layers: 28,
  num_attention_heads: 24,
  head_dim: 128,
};

function parameters(dimensions: object, rank: number, targets: readonly TargetModule[]): number {
  const config = parseModelConfig({ architectures: ['LlamaForCausalLM'], ...dimensions }, 'config.json');
  return adapterVectorLength(adapterVectorTable(config, { rank, targets }));
}

describe('the vector of an adapter', () => {
  it('has as many numbers as PEFT gives public models', () => {
    // The benchmark adapter that PEFT publishes figures of: 36,715,216 bytes in float32, header included.
    assert.equal(parameters(LLAMA_32_3B, 32, ['q_proj', 'v_proj']), 9_175_040);
    assert.equal(parameters(SMOLLM2_135M, 16, TARGET_MODULES), 4_884_480);
    assert.equal(parameters(LLAMA_32_1B, 16, TARGET_MODULES), 11_272_192);
  });

  it('has its tensors one after the other, by layer, then projection, A before B', () => {
    const config = parseModelConfig({ architectures: ['LlamaForCausalLM'], ...LLAMA_32_1B }, 'config.json');
    const table = adapterVectorTable(config, { rank: 2, targets: ['down_proj', 'k_proj'] });
    assert.deepEqual(
      table.slice(0, 5).map(({ layer, target, factor, shape, offset }) => [layer, target, factor, ...shape, offset]),
      [
        [0, 'k_proj', 'A', 2, 2048, 0],
        [0, 'k_proj', 'B', 512, 2, 4096],
        [0, 'down_proj', 'A', 2, 8192, 5120],
        [0, 'down_proj', 'B', 2048, 2, 21504],
        [1, 'k_proj', 'A', 2, 2048, 25600],
      ],
    );
  });
});
