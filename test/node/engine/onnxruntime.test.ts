import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { chmod, mkdir, mkdtemp, readdir, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { input, weight, type WeightSource } from '../../../node/engine/graph.ts';
import { OnnxRuntimeExecutor } from '../../../node/engine/onnxruntime.ts';
import { add, multiply } from '../../../node/engine/operators/elementwise.ts';
import { matmul } from '../../../node/engine/operators/matmul.ts';
import type { PrefmeshError } from '../../../protocol/errors.ts';
import { evaluate } from '../../../node/engine/reference.ts';

/** A file with a `[2, 3]` weight in each storage type, at offsets as odd as safetensors has them. */
async function weightFile(folder: string): Promise<WeightSource[]> {
  const values = [0.5, -2, 3.25, 0, 1024, -0.125];
  const bytes = new DataView(new ArrayBuffer(10 + 24 + 12 + 12));
  for (const [i, value] of values.entries()) {
    bytes.setFloat32(10 + 4 * i, value, true);
    bytes.setFloat16(34 + 2 * i, value, true);
    const single = new DataView(new ArrayBuffer(4));
    single.setFloat32(0, value);
    bytes.setUint16(46 + 2 * i, single.getUint16(0), true);
  }
  const file = path.join(folder, 'weights.bin');
  await writeFile(file, new Uint8Array(bytes.buffer));
  const source = (dtype: WeightSource['dtype'], offset: number, length: number): WeightSource => {
    return { name: dtype, dtype, shape: [2, 3], file, offset, bytes: length };
  };
  return [source('F32', 10, 24), source('F16', 34, 12), source('BF16', 46, 12)];
}

describe('the ONNX Runtime executor', () => {
  let folder: string;
  beforeEach(async () => {
    folder = await mkdtemp(path.join(tmpdir(), 'prefmesh-test-'));
  });
  afterEach(() => rm(folder, { recursive: true, force: true }));

  for (const weights of ['small', 'fast'] as const) {
    it(`reads float32, float16 and bfloat16 weights out of their file, kept ${weights}`, async () => {
      await using executor = await OnnxRuntimeExecutor.open({ threads: 1 });
      for (const source of await weightFile(folder)) {
        const x = input('x', [1, 3]);
        const outputs = { y: matmul(x, weight(source), { transposeB: true }) };
        const executable = await executor.compile(outputs, { weights });
        const feeds = { x: Float32Array.of(1, 10, 100) };
        const { y } = await executable.run(feeds);
        assert.deepEqual([...y!], [...evaluate([outputs.y], feeds)[0]!.data], source.dtype);
        assert.deepEqual([...y!], [305.5, 10227.5], source.dtype);
      }
    });
  }

  it('links weight files from a folder it may not write to, and leaves no graph behind', async () => {
    const [source] = await weightFile(folder);
    await chmod(folder, 0o500);
    const cacheFolder = await mkdtemp(path.join(tmpdir(), 'prefmesh-cache-'));
    try {
      await using executor = await OnnxRuntimeExecutor.open({ threads: 1, cacheFolder });
      await executor.compile({ y: multiply(weight(source!), input('x', [])) });
      await executor.compile({ y: add(weight(source!), input('x', [])) });
      const entries = await readdir(cacheFolder, { recursive: true, withFileTypes: true });
      const files = entries.filter((entry) => entry.isFile());
      assert.deepEqual(
        files.map(({ name }) => name),
        ['0-weights.bin'],
      );
      const linked = await stat(path.join(files[0]!.parentPath, files[0]!.name));
      assert.equal(linked.ino, (await stat(source!.file)).ino);
    } finally {
      await chmod(folder, 0o700);
      await rm(cacheFolder, { recursive: true });
    }
  });

  it('copies weight files once where they cannot be linked', async function () {
    const elsewhere = '/dev/shm';
    const other = await stat(elsewhere).catch(() => undefined);
    // Only a second file system shows it.
    if (other === undefined || other.dev === (await stat(folder)).dev) this.skip();
    const [source] = await weightFile(folder);
    const cacheFolder = await mkdtemp(path.join(elsewhere, 'prefmesh-cache-'));
    try {
      await using executor = await OnnxRuntimeExecutor.open({ threads: 1, cacheFolder });
      const executable = await executor.compile({ y: multiply(weight(source!), input('x', [])) });
      assert.deepEqual([...(await executable.run({ x: Float32Array.of(2) })).y!], [1, -4, 6.5, 0, 2048, -0.25]);
    } finally {
      await rm(cacheFolder, { recursive: true });
    }
  });

  it('writes outputs into resident tensors, row by row, and feeds them again', async () => {
    await using executor = await OnnxRuntimeExecutor.open({ threads: 1 });
    const step = await executor.compile({ next: add(input('x', [2, 1, 1, 2]), input('one', [])) });
    const cache = await executor.allocate([2, 1, 3, 2]);
    const writes = [{ output: 'next', into: cache, starts: Int32Array.of(0, 2) }];
    const outputs = await step.run({ x: Float32Array.of(1, 2, 3, 4), one: Float32Array.of(1) }, { writes });
    assert.deepEqual(outputs, {});
    const read = await executor.compile({ y: multiply(input('cache', [2, 1, 3, 2]), input('two', [])) });
    const { y } = await read.run({ cache, two: Float32Array.of(2) });
    assert.deepEqual([...y!], [4, 6, 0, 0, 0, 0, 0, 0, 0, 0, 8, 10]);
  });

  it('gives the same bits for the same inputs', async () => {
    await using executor = await OnnxRuntimeExecutor.open({ threads: 2 });
    const product = await executor.compile({ y: matmul(input('a', [257, 301]), input('b', [301, 123])) });
    const feeds = {
      a: Float32Array.from({ length: 257 * 301 }, (_, i) => Math.sin(i)),
      b: Float32Array.from({ length: 301 * 123 }, (_, i) => Math.cos(i)),
    };
    const first = await product.run(feeds);
    for (let i = 0; i < 5; i++) assert.deepEqual(await product.run(feeds), first);
  });

  it('names the device and the runtime problem when a graph cannot run', async () => {
    await using executor = await OnnxRuntimeExecutor.open({ threads: 1 });
    const [source] = await weightFile(folder);
    const cut = { ...source!, offset: 1_000_000 };
    await assert.rejects(executor.compile({ y: add(weight(cut), input('x', [])) }), (error: Error) => {
      assert.equal((error as PrefmeshError).code, 'ENGINE_FAILED');
      assert.match(error.message, /failed on device cpu: .*out of bounds/);
      return true;
    });
    const executable = await executor.compile({ y: add(input('x', [2]), input('x', [2])) });
    await assert.rejects(executable.run({ x: Float32Array.of(1) }), /takes \[2\]/);
    assert.deepEqual([...(await executable.run({ x: Float32Array.of(1, 2) })).y!], [2, 4]);
  });

  it('refuses work after it was disposed of', async () => {
    const executor = await OnnxRuntimeExecutor.open({ threads: 1 });
    const executable = await executor.compile({ y: add(input('x', []), input('x', [])) });
    await executor[Symbol.asyncDispose]();
    await assert.rejects(executable.run({ x: Float32Array.of(1) }), { code: 'ENGINE_FAILED' });
  });

  it('neither keeps an idle process alive nor leaves its folder behind', async () => {
    await mkdir(path.join(folder, 'temporary'));
    const module = fileURLToPath(new URL('../../../node/engine/onnxruntime.ts', import.meta.url));
    const program = `
      const { OnnxRuntimeExecutor } = await import(${JSON.stringify(module)});
      await OnnxRuntimeExecutor.open({ threads: 1 });
      console.log('idle');
    `;
    const { stdout } = await promisify(execFile)(process.execPath, ['--input-type=module', '--eval', program], {
      env: { ...process.env, TMPDIR: path.join(folder, 'temporary') },
      timeout: 30_000,
    });
    assert.equal(stdout, 'idle\n');
    assert.deepEqual(await readdir(path.join(folder, 'temporary')), []);
  });
});
