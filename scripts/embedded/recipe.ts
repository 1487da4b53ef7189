/** Every number that decides what the embedded model becomes. */

/** Seed of the corpus, of the initial weights and of every measurement. */
export const SEED = 20_260;

export const MODEL = {
  hiddenSize: 192,
  intermediateSize: 512,
  layers: 4,
  heads: 6,
  kvHeads: 3,
  headDim: 32,
  /** The 256 bytes, the merges, and the end token: every common word of the corpus is one token. */
  vocabSize: 2048,
  rmsNormEps: 1e-5,
  ropeTheta: 10_000,
  /** Twice the length of a training row, for answers longer than those of the corpus. */
  maxPositions: 512,
} as const;

export const TRAINING = {
  steps: 5000,
  /** Rows of one step, and predicted positions of one row: two to five documents. */
  rows: 8,
  length: 256,
  learningRate: 4e-3,
  /** Share of the steps. */
  warmup: 0.02,
  /** Fast second moment: the gradient's scale changes quickly in so short a run. */
  beta2: 0.98,
  weightDecay: 0.01,
  maxGradNorm: 1,
  schedule: 'cosine',
} as const;

/** Documents that the merges are learnt from. */
export const TOKENIZER_DOCUMENTS = 20_000;

/** The `config.json` of the folder. */
export function configJson(endToken: number): object {
  return {
    architectures: ['LlamaForCausalLM'],
    model_type: 'llama',
    hidden_size: MODEL.hiddenSize,
    intermediate_size: MODEL.intermediateSize,
    num_hidden_layers: MODEL.layers,
    num_attention_heads: MODEL.heads,
    num_key_value_heads: MODEL.kvHeads,
    head_dim: MODEL.headDim,
    vocab_size: MODEL.vocabSize,
    rms_norm_eps: MODEL.rmsNormEps,
    rope_theta: MODEL.ropeTheta,
    max_position_embeddings: MODEL.maxPositions,
    tie_word_embeddings: true,
    attention_bias: false,
    mlp_bias: false,
    hidden_act: 'silu',
    bos_token_id: null,
    eos_token_id: endToken,
    torch_dtype: 'float16',
  };
}
