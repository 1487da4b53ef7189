import assert from 'node:assert/strict';
import { mkdtempDisposable, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { failure, prefmesh } from './childProgram.ts';

interface Line {
  readonly chosen: number;
  readonly rejected: number;
}

describe('--device and --precision', function () {
  this.timeout(120_000);
  let folder: Awaited<ReturnType<typeof mkdtempDisposable>>;
  before(async () => {
    folder = await mkdtempDisposable(path.join(tmpdir(), 'prefmesh-test-'));
    await writeFile(path.join(folder.path, 'pairs.jsonl'), '{"prompt":"Hi","chosen":"Yes.","rejected":"No."}\n');
  });
  after(() => folder[Symbol.asyncDispose]());
  const words = (...more: string[]): string[] => {
    const common = ['score', '--model', 'embedded', '--pairs', path.join(folder.path, 'pairs.jsonl')];
    return [...common, '--home', path.join(folder.path, 'home'), ...more];
  };
  const score = (...more: string[]): { line: Line; stderr: string } => {
    const { code, stdout, stderr } = prefmesh(...words(...more, '--json'));
    assert.equal(code, 0, stderr);
    return { line: JSON.parse(stdout) as Line, stderr };
  };

  it('take what is best here where nothing is asked for, and say so', () => {
    const { stderr } = score();
    assert.match(stderr, /^device: \w+/m);
    assert.match(stderr, /scoring on \w+/);
  });

  it('refuse a device that is not there by its name, and compute nothing', () => {
    const elsewhere = process.platform === 'darwin' ? 'directml' : 'coreml';
    const { code, exit, stderr } = failure(...words('--device', elsewhere));
    assert.deepEqual([code, exit], ['DEVICE_UNAVAILABLE', 2]);
    assert.match(stderr, new RegExp(`device ${elsewhere} cannot be used here`));
  });

  it('give the same figures through TensorFlow.js', () => {
    const [here, there] = [score('--device', 'cpu').line, score('--device', 'tensorflow').line];
    assert.ok(Math.abs(there.chosen - here.chosen) < 1e-4 * Math.abs(here.chosen));
    assert.ok(Math.abs(there.rejected - here.rejected) < 1e-4 * Math.abs(here.rejected));
  });

  it('give nearly the same figures in half precision, and refuse it where there is none', () => {
    const [full, half] = [score('--device', 'cpu').line, score('--device', 'cpu', '--precision', 'float16').line];
    assert.notEqual(half.chosen, full.chosen);
    assert.ok(Math.abs(half.chosen - full.chosen) < 3e-3 * Math.abs(full.chosen));
    const { code } = failure(...words('--device', 'tensorflow', '--precision', 'float16'));
    assert.equal(code, 'PRECISION_UNSUPPORTED');
  });
});
