import assert from 'node:assert/strict';
import { mkdtempDisposable } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { planGgufModel } from '../../../node/export/ggufModel.ts';
import { openCheckpoint, type Checkpoint } from '../../../node/model/checkpoint.ts';
import { quantizeCheckpoint } from '../../../node/model/quantization/quantizedBase.ts';
import { QUANTIZATION_SCHEMES } from '../../../node/model/quantization/scheme.ts';
import { readTensor, type TensorDtype } from '../../../node/model/safetensors.ts';
import { Tokenizer } from '../../../node/model/tokenizer.ts';
import { rounded } from '../model/quantization/dequantizedCopy.ts';
import { readGguf } from './ggufReading.ts';

const llama = await openCheckpoint('test/oracle/llama/model');
const qwen2 = await openCheckpoint('test/oracle/qwen2/model');
const tokenizer = await Tokenizer.open(llama.folder);

/** The oracle's Llama with fields of its configuration replaced. */
const changed = (config: Partial<Checkpoint['config']>): Checkpoint => {
  return { ...llama, config: { ...llama.config, ...config } };
};

async function written(checkpoint: Checkpoint, dtype: TensorDtype = 'F32') {
  await using folder = await mkdtempDisposable(join(tmpdir(), 'prefmesh-gguf-'));
  const file = join(folder.path, 'model.gguf');
  await (await planGgufModel(checkpoint, tokenizer, dtype)).write(file);
  return readGguf(file);
}

describe('model as GGUF', () => {
  it('says the numbers of its configuration under the name of its architecture', async () => {
    const { metadata } = await written(llama);
    const of = (prefix: string) =>
      Object.fromEntries(
        [...metadata].filter(([key]) => key.startsWith(prefix)).map(([key, { type, value }]) => [key, [type, value]]),
      );
    assert.deepEqual(of('llama.'), {
      'llama.attention.layer_norm_rms_epsilon': ['f32', Math.fround(1e-5)],
      'llama.rope.freq_base': ['f32', 10000],
      'llama.vocab_size': ['u32', 264],
      'llama.context_length': ['u32', 512],
      'llama.embedding_length': ['u32', 32],
      'llama.block_count': ['u32', 2],
      'llama.feed_forward_length': ['u32', 64],
      'llama.rope.dimension_count': ['u32', 8],
      'llama.attention.head_count': ['u32', 4],
      'llama.attention.head_count_kv': ['u32', 2],
      'llama.attention.key_length': ['u32', 8],
      'llama.attention.value_length': ['u32', 8],
    });
    assert.deepEqual(of('general.'), {
      'general.architecture': ['string', 'llama'],
      'general.type': ['string', 'model'],
      'general.name': ['string', 'model'],
      'general.file_type': ['u32', 0],
    });
    assert.deepEqual(of('prefmesh.'), { 'prefmesh.base_sha256': ['string', llama.hash] });
  });

  it('carries the chat template, where there is one', async () => {
    const embedded = await openCheckpoint('embedded');
    const plan = await planGgufModel(embedded, await Tokenizer.open(embedded.folder), 'F16');
    await using folder = await mkdtempDisposable(join(tmpdir(), 'prefmesh-gguf-'));
    const file = join(folder.path, 'model.gguf');
    await plan.write(file);
    const { metadata, tensors } = readGguf(file);
    assert.match(metadata.get('tokenizer.chat_template')!.value as string, /^{% for message in messages %}/);
    assert.equal(tensors.has('output.weight'), false, 'a tied head is the embedding');
    assert.equal((await written(llama)).metadata.has('tokenizer.chat_template'), false);
  });

  it('keeps norms and biases in float32 and everything else in the dtype asked for', async () => {
    const { tensors } = await written(qwen2, 'BF16');
    for (const [name, { type, sides }] of tensors) assert.equal(type, sides.length === 1 ? 0 : 30, name);
    assert.ok(tensors.has('blk.0.attn_q.bias') && tensors.has('blk.1.ffn_norm.weight'));
  });

  it('has every weight of the checkpoint, q and k interleaved for llama', async () => {
    const { tensors } = await written(llama);
    assert.equal(tensors.size, llama.tensors.size);
    const plain = readTensor(llama.tensors.get('model.layers.1.mlp.down_proj.weight')!);
    assert.deepEqual(tensors.get('blk.1.ffn_down.weight')!.values, plain);
    const k = readTensor(llama.tensors.get('model.layers.0.self_attn.k_proj.weight')!);
    const row = (values: Float32Array, index: number) => [...values.subarray(index * 32, (index + 1) * 32)];
    const stored = tensors.get('blk.0.attn_k.weight')!.values;
    // The second head, of width 8: its rows 0, 4, 1, 5 and so on.
    assert.deepEqual(row(stored, 8), row(k, 8));
    assert.deepEqual(row(stored, 9), row(k, 12));
    assert.deepEqual(row(stored, 10), row(k, 9));
    assert.deepEqual(row(stored, 15), row(k, 15));
  });

  for (const scheme of QUANTIZATION_SCHEMES) {
    it(`writes what the ${scheme} weights of a model stand for`, async () => {
      await using folder = await mkdtempDisposable(join(tmpdir(), 'prefmesh-quantised-'));
      const { tensors } = await written(await quantizeCheckpoint(llama, scheme, { folder: folder.path }));
      const plain = readTensor(llama.tensors.get('model.layers.1.mlp.up_proj.weight')!);
      const stored = tensors.get('blk.1.ffn_up.weight')!.values;
      assert.deepEqual(stored, rounded(plain, scheme));
      assert.notDeepEqual(stored, plain);
      const embedding = readTensor(llama.tensors.get('model.embed_tokens.weight')!);
      assert.deepEqual(tensors.get('token_embd.weight')!.values, embedding);
    });
  }

  it('gives llama3 scaling as a divisor for each frequency', async () => {
    const ropeScaling = {
      type: 'llama3',
      factor: 8,
      lowFrequency: 1,
      highFrequency: 4,
      originalPositions: 8192,
    } as const;
    const { tensors } = await written(changed({ ropeScaling, ropeTheta: 500_000 }));
    const factors = [...tensors.get('rope_freqs.weight')!.values];
    // Frequencies 1, 0.0376, 0.00141, 0.0000532; wavelengths 6, 167, 4443, 118184 tokens against 2048 and 8192.
    const waves = 8192 / ((2 * Math.PI) / 500_000 ** (-4 / 8));
    const kept = (waves - 1) / 3;
    assert.deepEqual(
      factors.map((factor) => Number(factor.toFixed(4))),
      [1, 1, Number((1 / ((1 - kept) / 8 + kept)).toFixed(4)), 8],
    );
  });

  for (const [what, config] of Object.entries({
    'a sliding window shorter than its positions': { slidingWindow: { tokens: 16, layers: [0, 1] } },
    'unrotated layers on llama': { noRopeLayers: [1] },
    'unrotated layers at other places than SmolLM3 has them': { family: 'smollm3', noRopeLayers: [0] },
    'norms of q and k on llama': { queryKeyNorm: true },
    'a bias that the architecture does not read': { family: 'smollm3', biases: ['o_proj'] },
    'llama3 scaling on another architecture': {
      family: 'smollm3',
      ropeScaling: { type: 'llama3', factor: 8, lowFrequency: 1, highFrequency: 4, originalPositions: 64 },
    },
    'heads of their own width on Qwen 2': { family: 'qwen2', headDim: 16 },
  } as const satisfies Record<string, Partial<Checkpoint['config']>>)) {
    it(`is refused with ${what}`, async () => {
      await assert.rejects(planGgufModel(changed(config), tokenizer, 'F32'), { code: 'EXPORT_UNSUPPORTED' });
    });
  }
});
