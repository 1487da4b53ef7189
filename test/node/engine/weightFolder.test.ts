import assert from 'node:assert/strict';
import {
  mkdir,
  mkdtempDisposable,
  readdir,
  readFile,
  rm,
  stat,
  symlink,
  truncate,
  utimes,
  writeFile,
} from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { input, weight, type Value, type WeightSource } from '../../../node/engine/graph.ts';
import { OnnxRuntimeExecutor } from '../../../node/engine/onnxruntime.ts';
import { multiply } from '../../../node/engine/operators/elementwise.ts';
import { sliceAxis } from '../../../node/engine/operators/layout.ts';
import { linkWeights } from '../../../node/engine/weightFolder.ts';
import { STORED, weightFile } from './weightFile.ts';

const twice = (source: WeightSource): Value => multiply(weight(source), input('x', []));
const TWICE = STORED.map((each) => 2 * each);

/** The files of the only folder of weights under a cache. */
async function laid(cache: string): Promise<{ folder: string; names: string[] }> {
  const folders = await readdir(cache);
  assert.equal(folders.length, 1);
  const folder = join(cache, folders[0]!);
  return { folder, names: (await readdir(folder)).sort() };
}

describe('the folder of weights beside compiled graphs', () => {
  for (const dtype of ['F16', 'BF16'] as const) {
    it(`holds one float32 copy of a ${dtype} weight, made once for all graphs, and no link of the file`, async () => {
      await using folder = await mkdtempDisposable(join(tmpdir(), 'prefmesh-weights-'));
      const cacheFolder = join(folder.path, 'cache');
      const source = (await weightFile(folder.path)).find((each) => each.dtype === dtype)!;
      const inodes = new Set<number>();
      for (const _ of ['first', 'second']) {
        await using executor = await OnnxRuntimeExecutor.open({ threads: 1, cacheFolder });
        const executable = await executor.compile({ y: twice(source) });
        assert.deepEqual([...(await executable.run({ x: Float32Array.of(2) })).y!], TWICE);
        const { folder: where, names } = await laid(cacheFolder);
        assert.equal(names.length, 2);
        assert.match(names[0]!, /\.f32$/);
        const bytes = await readFile(join(where, names[0]!));
        assert.deepEqual([...new Float32Array(new Uint8Array(bytes).buffer)], STORED);
        inodes.add((await stat(join(where, names[0]!))).ino);
      }
      assert.equal(inodes.size, 1);
    });
  }

  it('is shared by graphs that read different weights of a file', async () => {
    await using folder = await mkdtempDisposable(join(tmpdir(), 'prefmesh-weights-'));
    const cacheFolder = join(folder.path, 'cache');
    const sources = await weightFile(folder.path);
    await using executor = await OnnxRuntimeExecutor.open({ threads: 1, cacheFolder });
    for (const source of sources) await executor.compile({ y: twice(source) });
    const { names } = await laid(cacheFolder);
    assert.equal(names.length, 1 + sources.length);
  });

  it('is read row by row and whole in one graph, which needs one copy', async () => {
    await using folder = await mkdtempDisposable(join(tmpdir(), 'prefmesh-weights-'));
    for (const source of await weightFile(folder.path)) {
      const cacheFolder = join(folder.path, source.dtype);
      await using executor = await OnnxRuntimeExecutor.open({ threads: 1, cacheFolder });
      const row = (i: number): Value => multiply(sliceAxis(weight(source), 0, i, 1), input('x', []));
      const executable = await executor.compile({ whole: twice(source), first: row(0), second: row(1) });
      const { whole, first, second } = await executable.run({ x: Float32Array.of(2) });
      assert.deepEqual([...whole!], TWICE, source.dtype);
      assert.deepEqual([...first!, ...second!], TWICE, source.dtype);
      assert.equal((await laid(cacheFolder)).names.length, 2);
    }
  });

  it('follows a symbolic link to the file, as in the folders of the Hub’s own cache', async () => {
    await using folder = await mkdtempDisposable(join(tmpdir(), 'prefmesh-weights-'));
    const source = (await weightFile(folder.path))[0]!;
    const file = join(folder.path, 'snapshot.bin');
    await symlink(source.file, file);
    await using executor = await OnnxRuntimeExecutor.open({ threads: 1, cacheFolder: join(folder.path, 'cache') });
    const executable = await executor.compile({ y: twice({ ...source, file }) });
    assert.deepEqual([...(await executable.run({ x: Float32Array.of(2) })).y!], TWICE);
  });

  it('makes a copy again that a killed process left half made', async () => {
    await using folder = await mkdtempDisposable(join(tmpdir(), 'prefmesh-weights-'));
    const cacheFolder = join(folder.path, 'cache');
    const source = (await weightFile(folder.path))[2]!;
    await using executor = await OnnxRuntimeExecutor.open({ threads: 1, cacheFolder });
    await (await executor.compile({ y: twice(source) })).dispose();
    const { folder: where, names } = await laid(cacheFolder);
    await truncate(join(where, names[0]!), 8);
    const executable = await executor.compile({ y: twice(source) });
    assert.deepEqual([...(await executable.run({ x: Float32Array.of(2) })).y!], TWICE);
  });

  it('copies a weight longer than what is read at once, to its last number', async function () {
    this.timeout(30_000);
    await using folder = await mkdtempDisposable(join(tmpdir(), 'prefmesh-weights-'));
    const count = 3 * 2 ** 20 + 7;
    const halves = Uint16Array.from({ length: count }, (_, i) => i % 2 ** 16);
    const file = join(folder.path, 'model.safetensors');
    await writeFile(file, new Uint8Array(halves.buffer));
    for (const dtype of ['F16', 'BF16'] as const) {
      const source = { name: 'x', dtype, shape: [count], file, offset: 0, bytes: 2 * count };
      const where = await linkWeights(folder.path, new Map([[`${dtype}.f32`, { file, widened: source }]]));
      const wide = new Uint32Array(new Uint8Array(await readFile(join(where, `${dtype}.f32`))).buffer);
      assert.equal(wide.length, count);
      const asFloats = new Float32Array(wide.buffer);
      const float16s = new Float16Array(halves.buffer);
      const wrong = wide.findIndex((bits, i) => {
        return dtype === 'BF16' ? bits !== halves[i]! * 2 ** 16 : !Object.is(asFloats[i], float16s[i]);
      });
      assert.equal(wrong, -1, dtype);
    }
  });

  it('goes when the file it was made from changes or is gone, and not before', async () => {
    await using folder = await mkdtempDisposable(join(tmpdir(), 'prefmesh-weights-'));
    const cache = join(folder.path, 'cache');
    const files: string[] = [];
    for (const name of ['kept', 'changed', 'gone']) {
      await mkdir(join(folder.path, name));
      files.push((await weightFile(join(folder.path, name)))[0]!.file);
    }
    const link = (file: string) => linkWeights(cache, new Map([['w', { file }]]));
    const [kept, changed, gone] = [await link(files[0]!), await link(files[1]!), await link(files[2]!)];
    await utimes(files[1]!, 1, 1);
    await rm(files[2]!);
    assert.equal(await link(files[0]!), kept);
    assert.deepEqual((await readdir(cache)).length, 3, 'nothing is looked for while nothing is new');
    const again = await link(files[1]!);
    assert.notEqual(again, changed);
    assert.deepEqual((await readdir(cache)).map((name) => join(cache, name)).sort(), [kept, again].sort());
    assert.notEqual(gone, kept);
  });
});
