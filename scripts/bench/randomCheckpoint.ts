/**
 * A checkpoint with random weights, of the dimensions of SmolLM2-135M if not told otherwise: how fast a step is does not depend on what the
 * weights say. It has no tokenizer; the benchmark makes its own token ids.
 */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parseModelConfig } from '../../node/model/config.ts';
import { writeSafetensors } from '../../node/model/safetensors.ts';
import { expectedTensors } from '../../node/model/weights.ts';
import { RandomStream } from '../../node/training/randomStream.ts';

export interface RandomDimensions {
  readonly hidden: number;
  readonly feedForward: number;
  readonly layers: number;
  readonly heads: number;
  readonly kvHeads: number;
  readonly vocabulary: number;
}

export const SMOLLM2_135M: RandomDimensions = {
  hidden: 576,
  feedForward: 1536,
  layers: 30,
  heads: 9,
  kvHeads: 3,
  vocabulary: 49152,
};

/**
 * Distinct random weights; larger tensors repeat them. Every tensor begins elsewhere among them: the runtime holds
 * tensors of the same content once, and a model that fits the processor's cache would look faster than any real one.
 */
const DISTINCT = (1 << 20) - 3;

/** Writes the checkpoint into an empty folder: 538 MB of F32 at the dimensions of SmolLM2-135M. */
export async function writeRandomCheckpoint(folder: string, dimensions = SMOLLM2_135M): Promise<void> {
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
  const random = new RandomStream('benchmark weights');
  const distinct = Float32Array.from({ length: DISTINCT }, () => 0.07 * (random.uniform() - 0.5));
  const tensors = [...expectedTensors(parseModelConfig(fields, config))].map(([name, shape], index) => ({
    name,
    shape,
    get data(): Float32Array {
      const length = shape.reduce((product, side) => product * side, 1);
      if (shape.length === 1) return new Float32Array(length).fill(1); // the weight of a norm
      const data = new Float32Array(length);
      let from = (index * 7919) % DISTINCT;
      for (let done = 0; done < length; from = 0) {
        const part = distinct.subarray(from, Math.min(DISTINCT, from + length - done));
        data.set(part, done);
        done += part.length;
      }
      return data;
    },
  }));
  await writeSafetensors(join(folder, 'model.safetensors'), tensors);
}
