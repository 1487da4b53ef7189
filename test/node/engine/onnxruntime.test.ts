import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { chmod, mkdir, mkdtemp, readdir, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { input, weight } from '../../../node/engine/graph.ts';
import { OnnxRuntimeExecutor } from '../../../node/engine/onnxruntime.ts';
import { add, multiply } from '../../../node/engine/operators/elementwise.ts';
import { matmul } from '../../../node/engine/operators/matmul.ts';
import { weightFile } from './weightFile.ts';

describe('the ONNX Runtime executor', () => {
  let folder: string;
  beforeEach(async () => {
    folder = await mkdtemp(path.join(tmpdir(), 'prefmesh-test-'));
  });
  afterEach(() => rm(folder, { recursive: true, force: true }));

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
      assert.equal(files.length, 2, 'the link, and what the folder was made from');
      const link = files.find(({ name }) => name.endsWith('-weights.bin'))!;
      const linked = await stat(path.join(link.parentPath, link.name));
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
