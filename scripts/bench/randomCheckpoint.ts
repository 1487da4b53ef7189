/**
 * Checkpoints with random weights, of the dimensions of SmolLM2-135M if not told otherwise: how fast a step is and what
 * memory it takes does not depend on what the weights say. They have no tokenizer; the benchmark makes its own token ids.
 */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parseModelConfig } from '../../node/model/config.ts';
import { streamSafetensors, tensorSize } from '../../node/model/safetensorsStream.ts';
import { expectedTensors } from '../../node/model/weights.ts';
import { RandomStream } from '../../node/training/randomStream.ts';

export interface RandomDimensions {
  readonly hidden: number;
  readonly feedForward: number;
  readonly layers: number;
  readonly heads: number;
  readonly kvHeads: number;
  readonly vocabulary: number;
  /** How weights are stored; F32 if absent. */
  readonly dtype?: 'F32' | 'BF16';
}

export const SMOLLM2_135M: RandomDimensions = {
  hidden: 576,
  feedForward: 1536,
  layers: 30,
  heads: 9,
  kvHeads: 3,
  vocabulary: 49152,
};

export const LLAMA_3_2_1B: RandomDimensions = {
  hidden: 2048,
  feedForward: 8192,
  layers: 16,
  heads: 32,
  kvHeads: 8,
  vocabulary: 128256,
  dtype: 'BF16',
};

/**
 * Distinct random weights; larger tensors repeat them. Every tensor begins elsewhere among them: the runtime holds
 * tensors of the same content once, and a model that fits the processor's cache would look faster than any real one.
 */
const DISTINCT = (1 << 20) - 3;

/**
 * Writes the checkpoint into an empty folder, tensor by tensor: 538 MB at the dimensions of SmolLM2-135M, 2.5 GB at those
 * of Llama-3.2-1B.
 */
export async function writeRandomCheckpoint(folder: string, dimensions = SMOLLM2_135M): Promise<void> {
  const { dtype = 'F32' } = dimensions;
  const config = join(folder, 'config.json');
  const fields = {
    architectures: ['LlamaForCausalLM'],
    hidden_size: dimensions.hidden,
    intermediate_size: dimensions.feedForward,
    num_hidden_layers: dimensions.layers,
    num_attention_heads: dimensions.heads,
    num_key_value_heads: dimensions.kvHeads,
    head_dim: 64,
    vocab_size: dimensions.vocabulary,
    max_position_embeddings: 8192,
    rms_norm_eps: 1e-5,
    rope_theta: 100000,
    tie_word_embeddings: true,
    eos_token_id: 0,
  };
  await writeFile(config, JSON.stringify(fields));
  const plan = [...expectedTensors(parseModelConfig(fields, config))].map(([name, shape]) => ({ name, dtype, shape }));
  const random = new RandomStream('benchmark weights');
  const distinct = stored(
    Float32Array.from({ length: DISTINCT }, () => 0.07 * (random.uniform() - 0.5)),
    dtype,
  );
  const contents = function* (): Iterable<Uint8Array> {
    for (const [index, { shape }] of plan.entries()) {
      const bytes = tensorSize(dtype, shape);
      // The weight of a norm is 1.
      if (shape.length === 1) yield stored(new Float32Array(shape[0]!).fill(1), dtype);
      else yield* repeated(distinct, ((index * 7919) % DISTINCT) * tensorSize(dtype, []), bytes);
    }
  };
  await streamSafetensors(join(folder, 'model.safetensors'), plan, contents());
}

/** `bytes` bytes of `content` over and over, from `start` on. */
function* repeated(content: Uint8Array, start: number, bytes: number): Iterable<Uint8Array> {
  let from = start;
  for (let done = 0; done < bytes; from = 0) {
    const part = content.subarray(from, Math.min(content.length, from + bytes - done));
    yield part;
    done += part.length;
  }
}

function stored(values: Float32Array, dtype: 'F32' | 'BF16'): Uint8Array {
  const bits = new Uint32Array(values.buffer);
  const kept = dtype === 'F32' ? bits : Uint16Array.from(bits, (each) => each >>> 16);
  return new Uint8Array(kept.buffer);
}
