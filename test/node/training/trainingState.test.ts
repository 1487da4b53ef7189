import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { mkdtempDisposable, readdir, readFile, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { forgetTraining, loadTraining, newestState, saveTraining } from '../../../node/training/trainingState.ts';

const temporary = () => mkdtempDisposable(join(tmpdir(), 'prefmesh-state-'));
const course = { inputs: { pairs: 'abc', 'initial adapter': null }, options: { beta: 0.1, seed: 1 } };
const at = (step: number) => ({
  state: {
    step,
    tokens: 2 ** 40 + step,
    adapter: Float32Array.of(0.1, -0, 1e-45),
    optimizer: { firstMoment: Float32Array.of(1, 2, step), secondMoment: Float32Array.of(4, 5, 6), step },
  },
  best: null,
  evaluated: null,
  references: {
    training: { chosen: Float64Array.of(-1.1, -2.2, 1e-300), rejected: Float64Array.of(-0, Math.PI, NaN) },
    watched: null,
  },
});
const files = async (folder: string) => (await readdir(join(folder, 'checkpoints'))).sort();

describe('saved training run', () => {
  it('comes back to the last bit', async () => {
    await using folder = await temporary();
    const logProbs = { chosen: Float64Array.of(-0.1), rejected: Float64Array.of(-1 / 3) };
    const references = { training: logProbs, watched: logProbs };
    const best = { adapter: Float32Array.of(9, 8, 7), loss: 0.1 + 0.2, step: 4, waited: 1 };
    for (const saved of [at(7), { ...at(8), best, evaluated: 8, references }]) {
      await saveTraining(folder.path, course, saved);
      assert.deepEqual(await loadTraining(folder.path, course, 3), { ...saved, damaged: [] });
    }
  });

  it('keeps its last two states', async () => {
    await using folder = await temporary();
    for (const step of [90, 100, 99_999_999, 110, 120]) await saveTraining(folder.path, course, at(step));
    assert.deepEqual(await files(folder.path), ['step-00000110.safetensors', 'step-00000120.safetensors']);
    assert.equal(await newestState(folder.path), 120);
  });

  it('is not there before it is saved, nor after it is forgotten', async () => {
    await using folder = await temporary();
    assert.equal(await loadTraining(folder.path, course, 3), null);
    assert.equal(await newestState(folder.path), null);
    await saveTraining(folder.path, course, at(7));
    await forgetTraining(folder.path);
    assert.deepEqual(await readdir(folder.path), []);
    await forgetTraining(folder.path);
  });

  it('is refused by another run, with what differs', async () => {
    await using folder = await temporary();
    await saveTraining(folder.path, course, at(7));
    const other = { inputs: { pairs: 'abd', 'initial adapter': null }, options: { beta: 0.2, seed: 1, threads: 2 } };
    await assert.rejects(loadTraining(folder.path, other, 3), {
      code: 'RESUME_MISMATCH',
      exitCode: 2,
      message: /other settings: different pairs; --beta was 0.1, is 0.2; --threads was not given, is 2$/,
    });
  });

  it('goes on from the state before, when the newest is damaged anywhere', async () => {
    await using folder = await temporary();
    await saveTraining(folder.path, course, at(7));
    await saveTraining(folder.path, course, at(8));
    const file = join(folder.path, 'checkpoints', 'step-00000008.safetensors');
    const whole = await readFile(file);
    for (let offset = 0; offset < whole.length; offset += 5) {
      const bytes = Buffer.from(whole);
      bytes[offset] = bytes[offset]! ^ 1;
      await writeFile(file, bytes);
      const loaded = await loadTraining(folder.path, course, 3);
      assert.equal(loaded!.state.step, 7, `byte ${offset}`);
      assert.deepEqual(
        loaded!.damaged.map((state) => state.file),
        [file],
      );
    }
    for (const length of [0, 7, 8, 40, whole.length - 1]) {
      await writeFile(file, whole.subarray(0, length));
      assert.equal((await loadTraining(folder.path, course, 3))!.state.step, 7, `${length} bytes`);
    }
  });

  it('is refused when no state is whole, and changes nothing', async () => {
    await using folder = await temporary();
    await saveTraining(folder.path, course, at(7));
    await assert.rejects(loadTraining(folder.path, course, 4), { code: 'CHECKPOINT_DAMAGED' });
    await saveTraining(folder.path, course, at(8));
    for (const name of await files(folder.path)) await truncate(join(folder.path, 'checkpoints', name), 30);
    await assert.rejects(loadTraining(folder.path, course, 3), {
      code: 'CHECKPOINT_DAMAGED',
      exitCode: 3,
      message: /step-00000008\.safetensors cannot be resumed from/,
    });
    assert.equal((await files(folder.path)).length, 2);
  });

  it('clears away what a killed writer left', async () => {
    await using folder = await temporary();
    await saveTraining(folder.path, course, at(7));
    const torn = join(folder.path, 'checkpoints', '.step-00000008.safetensors.0123456789abcdef.tmp');
    await writeFile(torn, 'half');
    assert.equal((await loadTraining(folder.path, course, 3))!.state.step, 7);
    assert.ok(!existsSync(torn));
  });
});
