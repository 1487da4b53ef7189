import assert from 'node:assert/strict';
import { parseModelConfig } from '../../../node/model/config.ts';

const llama = {
  architectures: ['LlamaForCausalLM'],
  hidden_size: 576,
  intermediate_size: 1536,
  num_hidden_layers: 30,
  num_attention_heads: 9,
  num_key_value_heads: 3,
  vocab_size: 49152,
  rms_norm_eps: 1e-5,
  rope_theta: 100000,
  torch_dtype: 'bfloat16',
  tie_word_embeddings: true,
  eos_token_id: 0,
  bos_token_id: 0,
};

const read = (changes: object) => parseModelConfig({ ...llama, ...changes }, 'config.json');

describe('model configuration', () => {
  it('reads the field style of transformers 4', () => {
    assert.deepEqual(read({}), {
      family: 'llama',
      hiddenSize: 576,
      intermediateSize: 1536,
      layers: 30,
      heads: 9,
      kvHeads: 3,
      headDim: 64,
      vocabSize: 49152,
      rmsNormEps: 1e-5,
      ropeTheta: 100000,
      tiedHead: true,
      qkvBias: false,
      maxPositions: 2048,
      eosTokenIds: [0],
      bosTokenId: 0,
    });
  });

  it('reads the field style of transformers 5', () => {
    const { rope_theta: _theta, torch_dtype: _dtype, ...rest } = llama;
    const json = { ...rest, dtype: 'bfloat16', rope_parameters: { rope_type: 'default', rope_theta: 100000 } };
    assert.deepEqual(parseModelConfig(json, 'config.json'), read({}));
  });

  it('gives Qwen2 its projection biases', () => {
    const config = read({ architectures: ['Qwen2ForCausalLM'], tie_word_embeddings: undefined });
    assert.equal(config.family, 'qwen2');
    assert.equal(config.qkvBias, true);
    assert.equal(config.tiedHead, false);
    assert.equal(config.maxPositions, 32768);
  });

  it('believes head_dim over hidden size by heads', () => {
    assert.equal(
      read({ hidden_size: 1024, num_attention_heads: 16, num_key_value_heads: 8, head_dim: 128 }).headDim,
      128,
    );
  });

  it('takes one end token, a list of them, or none', () => {
    assert.deepEqual(read({ eos_token_id: [128001, 128009] }).eosTokenIds, [128001, 128009]);
    assert.deepEqual(read({ eos_token_id: null }).eosTokenIds, []);
  });

  it('counts every head as a key head where the file is silent', () => {
    assert.equal(read({ num_key_value_heads: null }).kvHeads, 9);
  });

  it('says which architectures are supported when asked for another', () => {
    assert.throws(() => parseModelConfig({ architectures: ['GPT2LMHeadModel'], n_embd: 768 }, 'c.json'), {
      code: 'MODEL_UNSUPPORTED',
      message: 'c.json: architecture GPT2LMHeadModel is not supported',
      fix: 'use one of: LlamaForCausalLM, Qwen2ForCausalLM',
    });
  });

  for (const [feature, fields] of Object.entries({
    'rotary scaling of type llama3': { rope_scaling: { rope_type: 'llama3', factor: 32 } },
    'rotary scaling of type linear': { rope_scaling: { type: 'linear', factor: 2 } },
    'rotary scaling of type yarn': { rope_parameters: { rope_type: 'yarn', rope_theta: 1e4 } },
    'activation gelu': { hidden_act: 'gelu' },
    mlp_bias: { mlp_bias: true },
    'attention_bias on a Llama model': { attention_bias: true },
    'sliding-window attention': { architectures: ['Qwen2ForCausalLM'], use_sliding_window: true },
    'a quantised checkpoint': { quantization_config: { quant_method: 'gptq' } },
  })) {
    it(`refuses ${feature} rather than compute something else`, () => {
      assert.throws(() => read(fields), {
        code: 'MODEL_UNSUPPORTED',
        message: `config.json: ${feature} is not supported`,
      });
    });
  }

  for (const [field, fields] of Object.entries({
    hidden_size: { hidden_size: '576' },
    vocab_size: { vocab_size: -1 },
    num_hidden_layers: { num_hidden_layers: 1.5 },
    num_key_value_heads: { num_key_value_heads: 4 },
    head_dim: { head_dim: 63 },
    architectures: { architectures: [] },
  })) {
    it(`names the field when ${field} makes no sense`, () => {
      assert.throws(
        () => read(fields),
        (error: { code: string; details: { field: string } }) => {
          assert.equal(error.code, 'MODEL_CONFIG_INVALID');
          assert.equal(error.details.field, field);
          return true;
        },
      );
    });
  }
});
