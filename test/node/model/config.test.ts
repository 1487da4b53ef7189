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
      ropeScaling: null,
      noRopeLayers: [],
      slidingWindow: null,
      queryKeyNorm: false,
      biases: [],
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
    assert.deepEqual(config.biases, ['q_proj', 'k_proj', 'v_proj']);
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

  it('takes the rotary base of the configuration class where the file is silent', () => {
    const thetaOf = (architecture: string) =>
      read({ architectures: [architecture], rope_theta: undefined, num_key_value_heads: 3, head_dim: 64 }).ropeTheta;
    for (const name of ['Llama', 'Mistral', 'Qwen2', 'Qwen3'])
      assert.equal(thetaOf(`${name}ForCausalLM`), 10_000, name);
    assert.equal(thetaOf('SmolLM3ForCausalLM'), 2_000_000);
  });

  it('counts every head as a key head where the file is silent', () => {
    assert.equal(read({ num_key_value_heads: null }).kvHeads, 9);
  });

  it('says which architectures are supported when asked for another', () => {
    assert.throws(() => parseModelConfig({ architectures: ['GPT2LMHeadModel'], n_embd: 768 }, 'c.json'), {
      code: 'MODEL_UNSUPPORTED',
      message: 'c.json: architecture GPT2LMHeadModel is not supported',
      fix: 'use one of: LlamaForCausalLM, MistralForCausalLM, Qwen2ForCausalLM, Qwen3ForCausalLM, SmolLM3ForCausalLM',
    });
  });

  it('gives Qwen3 its norms and a head width of its own', () => {
    const qwen3 = { architectures: ['Qwen3ForCausalLM'], num_attention_heads: 12, num_key_value_heads: 4 };
    const config = read(qwen3);
    assert.equal(config.queryKeyNorm, true);
    assert.equal(config.headDim, 128, 'the default of its configuration class, not 576 / 12');
    assert.deepEqual(config.biases, []);
    assert.equal(read({ ...qwen3, head_dim: 64 }).headDim, 64);
  });

  it('puts biases where a Llama-type model says', () => {
    const attention = ['q_proj', 'k_proj', 'v_proj', 'o_proj'];
    assert.deepEqual(read({ attention_bias: true }).biases, attention);
    assert.deepEqual(read({ mlp_bias: true }).biases, ['gate_proj', 'up_proj', 'down_proj']);
    assert.deepEqual(
      read({ architectures: ['Qwen3ForCausalLM'], head_dim: 64, attention_bias: true }).biases,
      attention,
    );
    assert.deepEqual(read({ architectures: ['MistralForCausalLM'], attention_bias: true }).biases, []);
  });

  describe('layers without rotary embedding', () => {
    const smollm3 = { architectures: ['SmolLM3ForCausalLM'], num_hidden_layers: 8, tie_word_embeddings: undefined };

    it('are every fourth of SmolLM3, every so-manieth, or those it lists', () => {
      assert.deepEqual(read(smollm3).noRopeLayers, [3, 7]);
      assert.deepEqual(read({ ...smollm3, no_rope_layer_interval: 3 }).noRopeLayers, [2, 5]);
      assert.deepEqual(read({ ...smollm3, no_rope_layers: [1, 0, 1, 1, 1, 1, 1, 0] }).noRopeLayers, [1, 7]);
    });

    it('come with a tied head unless the file says otherwise', () => {
      assert.equal(read(smollm3).tiedHead, true);
      assert.equal(read({ ...smollm3, tie_word_embeddings: false }).tiedHead, false);
    });

    it('must be listed for every layer', () => {
      assert.throws(() => read({ ...smollm3, no_rope_layers: [1, 0] }), {
        message: 'config.json: field no_rope_layers has 2 entries for 8 layers',
      });
    });
  });

  describe('rotary scaling', () => {
    const llama3 = { factor: 32, low_freq_factor: 1, high_freq_factor: 4, original_max_position_embeddings: 8192 };
    const expected = { type: 'llama3', factor: 32, lowFrequency: 1, highFrequency: 4, originalPositions: 8192 };

    it('is read with its type under either name, and from either field', () => {
      assert.deepEqual(read({ rope_scaling: { rope_type: 'llama3', ...llama3 } }).ropeScaling, expected);
      assert.deepEqual(read({ rope_scaling: { type: 'llama3', ...llama3 } }).ropeScaling, expected);
      const v5 = { rope_parameters: { rope_type: 'llama3', rope_theta: 500000, ...llama3 }, rope_theta: undefined };
      assert.deepEqual(read(v5).ropeScaling, expected);
      assert.equal(read(v5).ropeTheta, 500000);
      assert.deepEqual(read({ rope_scaling: { type: 'linear', factor: 2 } }).ropeScaling, {
        type: 'linear',
        factor: 2,
      });
      assert.equal(read({ rope_scaling: { rope_type: 'default' } }).ropeScaling, null);
    });

    it('names the field it lacks', () => {
      assert.throws(() => read({ rope_scaling: { rope_type: 'llama3', factor: 32 } }), {
        code: 'MODEL_CONFIG_INVALID',
        message: /rope_scaling\.low_freq_factor/,
      });
    });
  });

  describe('a sliding window', () => {
    const every = Array.from({ length: 30 }, (_, layer) => layer);
    const windowOf = (fields: object) => read(fields).slidingWindow;

    it('is Mistral’s in every layer unless it is null', () => {
      const mistral = { architectures: ['MistralForCausalLM'] };
      assert.equal(windowOf({ ...mistral, sliding_window: null }), null);
      assert.deepEqual(windowOf({ ...mistral, sliding_window: 1024 }), { tokens: 1024, layers: every });
      assert.deepEqual(windowOf(mistral), { tokens: 4096, layers: every }, 'the default of its configuration class');
    });

    it('is Qwen’s only when it is used, and only in the layers from max_window_layers on', () => {
      const qwen2 = { architectures: ['Qwen2ForCausalLM'], sliding_window: 64, max_window_layers: 28 };
      assert.equal(windowOf({ ...qwen2, use_sliding_window: false }), null);
      assert.deepEqual(windowOf({ ...qwen2, use_sliding_window: true }), { tokens: 64, layers: [28, 29] });
      assert.equal(windowOf({ ...qwen2, use_sliding_window: true, max_window_layers: 30 }), null);
    });

    it('is where layer_types puts it, before any rule', () => {
      const layerTypes = every.map((layer) => (layer < 2 ? 'sliding_attention' : 'full_attention'));
      const fields = { architectures: ['Qwen3ForCausalLM'], use_sliding_window: true, sliding_window: 64 };
      const qwen3 = { ...fields, head_dim: 64, layer_types: layerTypes };
      assert.deepEqual(windowOf(qwen3), { tokens: 64, layers: [0, 1] });
    });

    it('is SmolLM3’s in the unrotated layers', () => {
      const smollm3 = { architectures: ['SmolLM3ForCausalLM'], use_sliding_window: true, sliding_window: 64 };
      assert.deepEqual(windowOf(smollm3), { tokens: 64, layers: [3, 7, 11, 15, 19, 23, 27] });
    });
  });

  for (const [feature, fields] of Object.entries({
    'rotary scaling of type dynamic': { rope_scaling: { type: 'dynamic', factor: 2 } },
    'rotary scaling of type yarn': { rope_parameters: { rope_type: 'yarn', rope_theta: 1e4 } },
    'rotary embedding that differs by kind of layer': {
      rope_parameters: { full_attention: { rope_type: 'default' }, sliding_attention: { rope_type: 'default' } },
    },
    'rotary embedding of a share of 0.5 of each head': { partial_rotary_factor: 0.5 },
    'activation gelu': { hidden_act: 'gelu' },
    'a layer of type linear_attention': { architectures: ['Qwen3ForCausalLM'], layer_types: ['linear_attention'] },
    'a quantised checkpoint other than NF4 of bitsandbytes with double quantisation': {
      quantization_config: { quant_method: 'gptq' },
    },
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
