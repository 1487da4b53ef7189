import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { cp, mkdtempDisposable, readdir, readFile, rm, truncate, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openCheckpoint, type Checkpoint } from '../../../../node/model/checkpoint.ts';
import { quantizeCheckpoint, type QuantizedWeights } from '../../../../node/model/quantization/quantizedBase.ts';
import { projectionsOf } from '../../../../node/model/quantization/quantizedFile.ts';
import { QUANTIZATION_SCHEMES } from '../../../../node/model/quantization/scheme.ts';
import {
  readPackedIndex,
  readTensor,
  readTensorBytes,
  writeSafetensors,
  type NamedTensor,
} from '../../../../node/model/safetensors.ts';
import { streamSafetensors } from '../../../../node/model/safetensorsStream.ts';
import { isPrefmeshError } from '../../../../protocol/errors.ts';

const MODEL = 'test/oracle/qwen2/model';
const temporary = () => mkdtempDisposable(join(tmpdir(), 'prefmesh-quantized-'));

const bfloat16 = (values: Float32Array): Uint16Array =>
  Uint16Array.from(new Uint32Array(values.buffer, values.byteOffset, values.length), (bits) => bits >>> 16);

/** The same numbers twice: one float32 file, and two shards of bfloat16. */
async function twins(folder: string): Promise<[single: Checkpoint, sharded: Checkpoint]> {
  const { tensors } = await openCheckpoint(MODEL);
  const names = [...tensors.keys()].sort();
  const half = new Map(names.map((name) => [name, bfloat16(readTensor(tensors.get(name)!))]));
  const full = names.map((name): NamedTensor => {
    const data = new Float32Array(Uint32Array.from(half.get(name)!, (bits) => bits << 16).buffer);
    return { name, shape: tensors.get(name)!.shape, data };
  });
  const folders = ['single', 'sharded'].map((each) => join(folder, each)) as [string, string];
  for (const each of folders) await cp(MODEL, each, { recursive: true });
  await writeSafetensors(join(folders[0], 'model.safetensors'), full);
  await rm(join(folders[1], 'model.safetensors'));
  const shardOf = (i: number): string => (i % 2 === 0 ? 'a.safetensors' : 'b.safetensors');
  for (const shard of ['a.safetensors', 'b.safetensors']) {
    const own = names.filter((_, i) => shardOf(i) === shard);
    const plan = own.map((name) => ({ name, dtype: 'BF16' as const, shape: tensors.get(name)!.shape }));
    await streamSafetensors(
      join(folders[1], shard),
      plan,
      own.map((name) => new Uint8Array(half.get(name)!.buffer)),
    );
  }
  const weight_map = Object.fromEntries(names.map((name, i) => [name, shardOf(i)]));
  await writeFile(join(folders[1], 'model.safetensors.index.json'), JSON.stringify({ weight_map }));
  return [await openCheckpoint(folders[0]), await openCheckpoint(folders[1])];
}

const sha256 = async (file: string): Promise<string> =>
  createHash('sha256')
    .update(await readFile(file))
    .digest('hex');

for (const scheme of QUANTIZATION_SCHEMES) {
  describe(`a base quantised to ${scheme}`, () => {
    const make = async (checkpoint: Checkpoint, folder: string, damaged: string[] = []): Promise<QuantizedWeights> =>
      (await quantizeCheckpoint(checkpoint, scheme, { folder, onDamaged: (file) => damaged.push(file) })).quantized;

    it('has the same bytes whether from bfloat16 shards or from one float32 file', async () => {
      await using folder = await temporary();
      const [single, sharded] = await twins(folder.path);
      assert.notEqual(single.hash, sharded.hash);
      const [a, b] = [await make(single, join(folder.path, 'c')), await make(sharded, join(folder.path, 'c'))];
      assert.notEqual(a.file, b.file);
      assert.deepEqual(await readFile(a.file), await readFile(b.file));
      assert.equal(a.hash, b.hash);
      assert.equal(a.hash, await sha256(a.file));
    });

    it('holds every projection and nothing else, numbers aligned', async () => {
      await using folder = await temporary();
      const checkpoint = await openCheckpoint(MODEL);
      const { tensors } = await make(checkpoint, folder.path);
      assert.deepEqual(
        [...tensors.keys()],
        [...projectionsOf(checkpoint.config)].map(([name]) => name),
      );
      for (const tensor of tensors.values()) {
        const numbers = tensor.scheme === 'nf4' ? [tensor.nestedAbsmax, tensor.nestedMap] : [tensor.scales];
        for (const { offset } of numbers) assert.equal(offset % 4, 0);
      }
    });

    it('is made once, and used again while its file is whole', async () => {
      await using folder = await temporary();
      const checkpoint = await openCheckpoint(MODEL);
      const damaged: string[] = [];
      const { file, hash } = await make(checkpoint, folder.path, damaged);
      const later = new Date(Date.now() + 5000);
      await utimes(file, later, later); // another time, the same bytes: hashed and believed
      const again = await make(checkpoint, folder.path, damaged);
      assert.deepEqual([again.hash, damaged], [hash, []]);
    });

    it('is made again, and named, where its file is damaged, cut or without its record', async () => {
      await using folder = await temporary();
      const checkpoint = await openCheckpoint(MODEL);
      const { file, hash, bytes } = await make(checkpoint, folder.path);
      const harms: (() => Promise<void>)[] = [
        async () => {
          const content = await readFile(file);
          content[bytes - 40] = content[bytes - 40]! ^ 1;
          await writeFile(file, content);
        },
        () => truncate(file, bytes - 1),
        () => rm(`${file}.json`),
        () => writeFile(`${file}.json`, '{"sha256"'),
      ];
      for (const harm of harms) {
        await harm();
        const damaged: string[] = [];
        const again = await make(checkpoint, folder.path, damaged);
        assert.deepEqual(damaged, [file]);
        assert.equal(again.hash, hash);
        assert.equal(await sha256(file), hash);
      }
    });

    it('is refused of a weight that is not finite, by name, and leaves no file', async () => {
      await using folder = await temporary();
      const { tensors } = await openCheckpoint(MODEL);
      const model = join(folder.path, 'model');
      await cp(MODEL, model, { recursive: true });
      const name = 'model.layers.1.mlp.up_proj.weight';
      const copies = [...tensors.values()].map((location) => {
        const data = readTensor(location);
        if (location.name === name) data[5] = NaN;
        return { name: location.name, shape: location.shape, data };
      });
      await writeSafetensors(join(model, 'model.safetensors'), copies);
      await assert.rejects(make(await openCheckpoint(model), join(folder.path, 'kept')), (error: unknown) => {
        return isPrefmeshError(error, 'WEIGHTS_INVALID') && error.message.includes(name);
      });
      assert.deepEqual(await readdir(join(folder.path, 'kept')), []);
    });

    it('ends in DISK_FULL where there is no room, and leaves no partial file', async () => {
      await using folder = await temporary();
      const url = (file: string) => JSON.stringify(new URL(`../../../../node/model/${file}`, import.meta.url).href);
      const script = `
        const { openCheckpoint } = await import(${url('checkpoint.ts')});
        const { quantizeCheckpoint } = await import(${url('quantization/quantizedBase.ts')});
        const checkpoint = await openCheckpoint(${JSON.stringify(MODEL)});
        await quantizeCheckpoint(checkpoint, '${scheme}', { folder: ${JSON.stringify(join(folder.path, 'kept'))} })
          .catch((error) => process.stdout.write(error.code));`;
      const limited = 'ulimit -f 4; exec "$0" --input-type=module -e "$1"';
      const child = spawnSync('bash', ['-c', limited, process.execPath, script], { encoding: 'utf8' });
      assert.equal(child.stdout, 'DISK_FULL', child.stderr);
      assert.deepEqual(await readdir(join(folder.path, 'kept')), []);
    });
  });
}

describe('an NF4 file', () => {
  it('has the keys and the state that bitsandbytes reads', async () => {
    await using folder = await temporary();
    const { quantized } = await quantizeCheckpoint(await openCheckpoint(MODEL), 'nf4', { folder: folder.path });
    const { tensors } = readPackedIndex(quantized.file);
    const name = 'model.layers.0.mlp.gate_proj.weight';
    const own = [...tensors.values()].filter((each) => each.name.startsWith(name));
    assert.deepEqual(
      own.map((each) => [each.name.slice(name.length), each.dtype, each.shape]),
      [
        ['.nested_absmax', 'F32', [1]],
        ['.nested_quant_map', 'F32', [256]],
        ['.quant_map', 'F32', [16]],
        ['', 'U8', [1024, 1]],
        ['.absmax', 'U8', [32]],
        ['.quant_state.bitsandbytes__nf4', 'U8', own.at(-1)!.shape],
      ],
    );
    const state = JSON.parse(Buffer.from(readTensorBytes(own.at(-1)!)).toString()) as Record<string, unknown>;
    const { nested_offset: offset, ...rest } = state;
    assert.deepEqual(rest, {
      quant_type: 'nf4',
      blocksize: 64,
      dtype: 'float32',
      shape: [64, 32],
      nested_blocksize: 256,
      nested_dtype: 'float32',
    });
    assert.equal(Math.fround(offset as number), offset);
  });
});
