import assert from 'node:assert/strict';
import { mkdtempDisposable, readdir, readFile, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { forgetTraining, loadTraining, saveTraining } from '../../../node/training/trainingState.ts';

const temporary = () => mkdtempDisposable(join(tmpdir(), 'prefmesh-state-'));
const state = {
  step: 7,
  tokens: 2 ** 40,
  adapter: Float32Array.of(0.1, -0, 1e-45),
  optimizer: { firstMoment: Float32Array.of(1, 2, 3), secondMoment: Float32Array.of(4, 5, 6), step: 7 },
};

describe('saved training run', () => {
  it('comes back to the last bit', async () => {
    await using folder = await temporary();
    for (const best of [null, { adapter: Float32Array.of(9, 8, 7), loss: 0.1 + 0.2, step: 4, waited: 1 }]) {
      await saveTraining(folder.path, 'run', { state, best });
      assert.deepEqual(await loadTraining(folder.path, 'run', 3), { state, best });
    }
  });

  it('is not there before it is saved, nor after it is forgotten', async () => {
    await using folder = await temporary();
    assert.equal(await loadTraining(folder.path, 'run', 3), null);
    await saveTraining(folder.path, 'run', { state, best: null });
    await forgetTraining(folder.path);
    assert.deepEqual(await readdir(folder.path), []);
    await forgetTraining(folder.path);
  });

  it('is refused by another run', async () => {
    await using folder = await temporary();
    await saveTraining(folder.path, 'run', { state, best: null });
    await assert.rejects(loadTraining(folder.path, 'other', 3), { code: 'RESUME_MISMATCH', exitCode: 2 });
  });

  it('is refused when it is damaged or of another length', async () => {
    await using folder = await temporary();
    await saveTraining(folder.path, 'run', { state, best: null });
    await assert.rejects(loadTraining(folder.path, 'run', 4), { code: 'WEIGHTS_INVALID' });
    const file = join(folder.path, (await readdir(folder.path))[0]!);
    await writeFile(file, (await readFile(file)).subarray(0, -1));
    await assert.rejects(loadTraining(folder.path, 'run', 3), { code: 'WEIGHTS_INVALID' });
  });
});
