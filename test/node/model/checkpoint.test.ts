import assert from 'node:assert/strict';
import { cp, mkdir, mkdtempDisposable, open, readdir, readFile, rename, rm, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openCheckpoint } from '../../../node/model/checkpoint.ts';
import { checkpointHash } from '../../../node/model/checkpointHash.ts';
import { readSafetensorsIndex, readTensor, writeSafetensors } from '../../../node/model/safetensors.ts';
import { Policy } from '../../../node/training/policy.ts';

const temporary = () => mkdtempDisposable(join(tmpdir(), 'prefmesh-checkpoint-'));

async function copyOf(model: string, folder: string): Promise<string> {
  const copy = join(folder, 'model');
  await cp(`test/oracle/${model}/model`, copy, { recursive: true });
  return copy;
}

const allTensors = (file: string) =>
  [...readSafetensorsIndex(file).tensors.values()].map((tensor) => ({ ...tensor, data: readTensor(tensor) }));

describe('checkpoint', () => {
  it('opens a folder and knows its identity', async () => {
    // Both hashes were computed from the files by a separate program (Python's hashlib).
    const llama = await openCheckpoint('test/oracle/llama/model');
    assert.equal(llama.hash, '2fd8b96d15554c68c51b689f970f282b556369d7ca89e8c8e9e9a960068e703f');
    assert.equal(llama.name, 'model');
    assert.deepEqual(llama.tensors.get('lm_head.weight')?.shape, [264, 32]);
    const qwen2 = await openCheckpoint('test/oracle/qwen2/model');
    assert.equal(qwen2.hash, '020599e37bb5bab31a0cf09ac2933c3cb6523d96f26913a79f31cda24bcacbbd');
    assert.equal(qwen2.config.tiedHead, true);
  });

  it('opens an id stored under the data folder', async () => {
    await using home = await temporary();
    await cp('test/oracle/llama/model', join(home.path, 'models', 'maker', 'tiny'), { recursive: true });
    const checkpoint = await openCheckpoint('maker/tiny', { home: home.path });
    assert.equal(checkpoint.name, 'maker/tiny');
    await assert.rejects(openCheckpoint('../tiny', { home: home.path }), { code: 'MODEL_NOT_FOUND' });
  });

  it('has the same identity when its tensors are spread over shards', async () => {
    await using folder = await temporary();
    const copy = await copyOf('llama', folder.path);
    const before = await openCheckpoint(copy);
    const tensors = allTensors(join(copy, 'model.safetensors'));
    const weightMap: Record<string, string> = {};
    for (const part of [0, 1]) {
      const shard = `model-0000${part + 1}-of-00002.safetensors`;
      const mine = tensors.filter((_, i) => i % 2 === part);
      await writeSafetensors(join(copy, shard), mine);
      for (const { name } of mine) weightMap[name] = shard;
    }
    await rm(join(copy, 'model.safetensors'));
    await writeFile(join(copy, 'model.safetensors.index.json'), JSON.stringify({ weight_map: weightMap }));
    assert.equal((await openCheckpoint(copy)).hash, before.hash);

    weightMap['model.norm.weight'] = '../model-00001-of-00002.safetensors';
    await writeFile(join(copy, 'model.safetensors.index.json'), JSON.stringify({ weight_map: weightMap }));
    await assert.rejects(openCheckpoint(copy), { code: 'WEIGHTS_INVALID' });
  });

  it('has another identity as soon as one weight, the configuration or the tokenizer differs', async () => {
    await using folder = await temporary();
    const copy = await copyOf('llama', folder.path);
    const seen = new Set([(await openCheckpoint(copy)).hash]);
    for (const [name, change] of Object.entries({
      'model.safetensors': (bytes: Buffer) => bytes.writeUInt8(bytes.readUInt8(bytes.length - 1) ^ 1, bytes.length - 1),
      'config.json': (bytes: Buffer) => bytes.write('Eager', bytes.indexOf('Llama')),
      'tokenizer.json': (bytes: Buffer) => bytes.write('1.1', bytes.indexOf('1.0')),
      'tokenizer_config.json': (bytes: Buffer) => bytes.write('511', bytes.indexOf('512')),
    })) {
      const file = join(copy, name);
      const bytes = await readFile(file);
      const before = Buffer.from(bytes);
      change(bytes);
      await writeFile(file, bytes);
      seen.add(await checkpointHash(copy, readSafetensorsIndex(join(copy, 'model.safetensors')).tensors));
      await writeFile(file, before);
    }
    await writeFile(join(copy, 'chat_template.jinja'), '{{ messages }}');
    seen.add((await openCheckpoint(copy)).hash);
    assert.equal(seen.size, 6);
  });

  it('has the embedding for its head where the head is tied, whatever else its files hold', async () => {
    await using folder = await temporary();
    const copy = await copyOf('qwen2', folder.path);
    const file = join(copy, 'model.safetensors');
    const tensors = allTensors(file);
    const { shape, data } = tensors.find(({ name }) => name === 'model.embed_tokens.weight')!;
    const pairs = [{ id: 'a', prompt: [1, 2, 3], chosen: [4, 5, 256], rejected: [6, 256] }];
    const scored = async () => {
      const layout = { rank: 1, targets: ['q_proj'] } as const;
      await using policy = await Policy.open({ checkpoint: await openCheckpoint(copy), layout, scale: 1, threads: 1 });
      return await policy.logProbs(pairs, null);
    };
    const before = await scored();
    // As files have it that were saved while the two were one tensor, or came apart by mistake.
    await writeSafetensors(file, [...tensors, { name: 'lm_head.weight', shape, data: data.map((value) => 2 * value) }]);
    assert.deepEqual(await scored(), before);
  });

  it('names the tensor that is missing', async () => {
    await using folder = await temporary();
    const copy = await copyOf('qwen2', folder.path);
    const file = join(copy, 'model.safetensors');
    const lost = 'model.layers.1.self_attn.k_proj.bias';
    await writeSafetensors(
      file,
      allTensors(file).filter(({ name }) => name !== lost),
    );
    await assert.rejects(openCheckpoint(copy), { code: 'TENSOR_MISSING', details: { file: copy, tensor: lost } });
  });

  it('names the tensor whose shape is not what config.json says', async () => {
    await using folder = await temporary();
    const copy = await copyOf('llama', folder.path);
    const config = JSON.parse(await readFile(join(copy, 'config.json'), 'utf8')) as object;
    await writeFile(join(copy, 'config.json'), JSON.stringify({ ...config, intermediate_size: 65 }));
    await assert.rejects(openCheckpoint(copy), {
      code: 'TENSOR_SHAPE',
      details: {
        file: join(copy, 'model.safetensors'),
        tensor: 'model.layers.0.mlp.gate_proj.weight',
        shape: '[64, 32]',
        expected: '[65, 32]',
      },
    });
  });

  it('says what a folder lacks', async () => {
    await using folder = await temporary();
    await assert.rejects(openCheckpoint(join(folder.path, 'nowhere')), { code: 'MODEL_NOT_FOUND' });
    const copy = await copyOf('llama', folder.path);
    await rename(join(copy, 'model.safetensors'), join(copy, 'pytorch_model.bin'));
    await assert.rejects(openCheckpoint(copy), {
      code: 'MODEL_NOT_FOUND',
      message: `no model at ${copy}: the folder has no model.safetensors`,
    });
    await writeFile(join(copy, 'config.json'), '{');
    await assert.rejects(openCheckpoint(copy), { code: 'MODEL_CONFIG_INVALID' });
  });

  describe('the remembered identity of a large checkpoint', () => {
    /** 64 MiB of zeros that take no disk space, as one tensor. */
    async function largeFolder(folder: string): Promise<string> {
      const header = Buffer.from('{"x":{"dtype":"F32","shape":[16777216],"data_offsets":[0,67108864]}}');
      const file = join(folder, 'model.safetensors');
      await using handle = await open(file, 'w');
      const length = Buffer.alloc(8);
      length.writeBigUInt64LE(BigInt(header.length));
      await handle.write(Buffer.concat([length, header]));
      await handle.truncate(8 + header.length + 67108864);
      return file;
    }
    const hashOf = (folder: string, file: string) => checkpointHash(folder, readSafetensorsIndex(file).tensors);

    it('is used while sizes and times stay, and computed anew when one changes', async () => {
      await using folder = await temporary();
      const file = await largeFolder(folder.path);
      const hash = await hashOf(folder.path, file);
      const cache = join(folder.path, '.prefmesh-hash.json');
      const remembered = JSON.parse(await readFile(cache, 'utf8')) as { hash: string };
      assert.equal(remembered.hash, hash);

      const planted = 'f'.repeat(64);
      await writeFile(cache, JSON.stringify({ ...remembered, hash: planted }));
      assert.equal(await hashOf(folder.path, file), planted, 'the remembered value is what is read');

      await utimes(file, 1, 1);
      assert.equal(await hashOf(folder.path, file), hash, 'a new time voids it');
      await writeFile(join(folder.path, 'tokenizer.json'), '{}');
      assert.notEqual(await hashOf(folder.path, file), hash, 'so does a text file that appears');
    });

    it('is written anew when the file that held it is damaged', async () => {
      await using folder = await temporary();
      const file = await largeFolder(folder.path);
      const hash = await hashOf(folder.path, file);
      await writeFile(join(folder.path, '.prefmesh-hash.json'), '{"hash": "');
      assert.equal(await hashOf(folder.path, file), hash);
    });

    it('is not written for a small one', async () => {
      await using folder = await temporary();
      const copy = await copyOf('llama', folder.path);
      const before = await readdir(copy);
      await openCheckpoint(copy);
      assert.deepEqual(await readdir(copy), before);
    });

    it('fails loudly where it cannot be written for another reason than permission', async () => {
      await using folder = await temporary();
      const file = await largeFolder(folder.path);
      await mkdir(join(folder.path, '.prefmesh-hash.json'));
      await assert.rejects(hashOf(folder.path, file), (error: { code: string }) => error.code !== undefined);
    });
  });
});
