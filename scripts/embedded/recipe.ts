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

/** What holds in every stage of the training. */
export const TRAINING = {
  /** Rows of one step, and predicted positions of one row: two to five documents. */
  rows: 8,
  length: 256,
  /** Fast second moment: the gradient's scale changes quickly in so short a run. */
  beta2: 0.98,
  weightDecay: 0.01,
  maxGradNorm: 1,
  schedule: 'cosine',
} as const;

/** What a document is like: see `corpus.ts` and `emphasis.ts`. */
export interface Mixture {
  /** Share of the prompts that ask for a style. */
  readonly askedShare: number;
  /** How many of the four sides such a prompt asks for, each at the same odds. */
  readonly requests: readonly number[];
  /** Weight in the loss of the first tokens of a sentence or bullet, where an answer decides its style. */
  readonly startWeight: number;
}

export interface Stage extends Mixture {
  readonly name: string;
  readonly steps: number;
  readonly learningRate: number;
  /** Share of the steps. */
  readonly warmup: number;
}

/**
 * First the language, then obedience, then balance. Whether an answer cites or shows code is decided late in it, by a
 * few of its tokens and from far back in the prompt: mixed evenly from the start, these requests are learnt last, long
 * after the language is. Documents that ask for almost everything teach them, and a last stage at even shares brings
 * plain questions back to even odds.
 */
export const STAGES: readonly Stage[] = [
  {
    name: 'language',
    steps: 2500,
    learningRate: 4e-3,
    warmup: 0.03,
    askedShare: 0.5,
    requests: [1, 1, 1, 1, 2, 2, 2, 3, 3, 4],
    startWeight: 1,
  },
  {
    name: 'emphasis',
    steps: 600,
    learningRate: 2.5e-3,
    warmup: 0.1,
    askedShare: 0.5,
    requests: [1, 1, 2, 2, 2, 3, 3, 4, 4, 4],
    startWeight: 4,
  },
  {
    name: 'obedience',
    steps: 1000,
    learningRate: 2e-3,
    warmup: 0.04,
    askedShare: 0.95,
    requests: [3, 4, 4],
    startWeight: 4,
  },
  {
    name: 'balance',
    steps: 500,
    learningRate: 1.5e-3,
    warmup: 0.04,
    askedShare: 0.5,
    requests: [1, 1, 2, 2, 3, 3, 4, 4],
    startWeight: 2,
  },
];

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
