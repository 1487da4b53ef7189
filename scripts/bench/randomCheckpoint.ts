/**
 * A checkpoint of the dimensions of SmolLM2-135M with random weights: how fast a step is does not depend on what the
 * weights say. It has no tokenizer; the benchmark makes its own token ids.
 */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parseModelConfig } from '../../node/model/config.ts';
import { writeSafetensors } from '../../node/model/safetensors.ts';
import { expectedTensors } from '../../node/model/weights.ts';
import { RandomStream } from '../../node/training/randomStream.ts';

const SMOLLM2_135M = {
  architectures: ['LlamaForCausalLM'],
  hidden_size: 576,
  intermediate_size: 1536,
  num_hidden_layers: 30,
  num_attention_heads: 9,
  num_key_value_heads: 3,
  vocab_size: 49152,
  max_position_embeddings: 8192,
  rms_norm_eps: 1e-5,
  rope_theta: 100000,
  tie_word_embeddings: true,
  eos_token_id: 0,
};

/** Distinct random weights; larger tensors repeat them. */
const DISTINCT = 1 << 20;

/** Writes the checkpoint into an empty folder: 538 MB of F32. */
export async function writeRandomCheckpoint(folder: string): Promise<void> {
  const config = join(folder, 'config.json');
  await writeFile(config, JSON.stringify(SMOLLM2_135M));
  const random = new RandomStream('benchmark weights');
  const distinct = Float32Array.from({ length: DISTINCT }, () => 0.07 * (random.uniform() - 0.5));
  const tensors = [...expectedTensors(parseModelConfig(SMOLLM2_135M, config))].map(([name, shape]) => ({
    name,
    shape,
    get data(): Float32Array {
      const length = shape.reduce((product, side) => product * side, 1);
      if (shape.length === 1) return new Float32Array(length).fill(1); // the weight of a norm
      const data = new Float32Array(length);
      for (let i = 0; i < length; i += DISTINCT) data.set(distinct.subarray(0, Math.min(DISTINCT, length - i)), i);
      return data;
    },
  }));
  await writeSafetensors(join(folder, 'model.safetensors'), tensors);
}
