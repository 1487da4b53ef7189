import assert from 'node:assert/strict';
import { execFile, spawnSync } from 'node:child_process';
import { mkdir, mkdtempDisposable } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { REASON, softwareVulkan } from '../../node/engine/softwareVulkan.ts';
import type { SectionResult } from '../../../scripts/bench/section.ts';
import { ContenderProcess, type Command } from '../../../scripts/bench/contenderProcess.ts';
import { writeModel, writeWorkload } from '../../../scripts/bench/workload.ts';

/** Debian's, the one that the benchmark runs. */
const PYTHON = '/usr/bin/python3';
const BENCH = resolve('scripts/bench');
const STEPS = 4;

describe('the contenders of the training benchmark', function () {
  this.timeout(300_000);

  it('make the same steps: this engine in every setting, and PyTorch (where python3 has torch)', async function () {
    await using folder = await mkdtempDisposable(join(tmpdir(), 'prefmesh-bench-'));
    const model = join(folder.path, 'model');
    await mkdir(model);
    await writeModel(model, 'tiny');
    const workload = await writeWorkload(folder.path, model, { batch: 3, prompt: 24, completion: 16 }, 1);
    const ours = (settings: object): Command => ({
      program: process.execPath,
      args: [join(BENCH, 'trainingContender.ts'), workload, JSON.stringify({ device: 'cpu', ...settings })],
    });
    const expected = await lossesOf(ours({}));
    assert.ok(expected[0]! !== expected.at(-1)!, 'the optimiser moves');
    for (const settings of [{ tokenBudget: 60, activationCheckpointing: true }, { rows: 'apart' }]) {
      assertAgree(await lossesOf(ours(settings)), expected);
    }

    if (spawnSync(PYTHON, ['-c', 'import torch, numpy']).status !== 0) {
      this.test!.title += ' (no python3 with torch here: this engine alone)';
      return;
    }
    for (const way of ['ordinary', 'shortcuts']) {
      const args = [join(BENCH, 'pytorch', 'step.py'), workload, way];
      assertAgree(await lossesOf({ program: PYTHON, args }), expected);
    }
  });

  it('run on the device that is named (a software WebGPU driver, where there is one)', async function () {
    const driver = softwareVulkan();
    if (driver === null) {
      this.test!.title += ` (${REASON})`;
      this.skip();
    }
    const chosen = ['--model', 'tiny', '--device', 'webgpu', '--only', 'prefmesh', '--only', 'prefmesh, both'];
    const args = [join(BENCH, 'main.ts'), 'training', ...chosen, '--runs', '1', '--json'];
    const env = { ...process.env, ...driver.environment };
    const { stdout } = await promisify(execFile)(process.execPath, args, { env });
    const { results } = JSON.parse(stdout) as { results: SectionResult[] };
    assert.deepEqual(
      results.map(({ rows }) => rows.map(([name]) => name)),
      [['prefmesh', 'prefmesh, both']],
    );
    assert.match(results[0]!.title, /^tiny, .* on webgpu$/);
    const agreement = Number(/agree to (\S+)\.$/.exec(results[0]!.notes[0]!)![1]);
    assert.ok(agreement < 1e-5, results[0]!.notes[0]);
  });

  it('say so when one of them ends early', async () => {
    await using contender = new ContenderProcess('a broken one', { program: process.execPath, args: ['-e', '0'] });
    await assert.rejects(contender.ready(), /a broken one ended without an answer/);
  });
});

async function lossesOf(command: Command): Promise<number[]> {
  await using contender = new ContenderProcess('contender', command);
  await contender.ready();
  const losses: number[] = [];
  for (let step = 0; step < STEPS; step++) losses.push((await contender.step()).loss);
  assert.ok((await contender.end()) > 10, 'its peak memory is in MiB');
  return losses;
}

function assertAgree(losses: readonly number[], expected: readonly number[]): void {
  for (const [i, loss] of losses.entries()) {
    assert.ok(Math.abs(loss - expected[i]!) < 2e-6, `step ${i + 1}: ${loss} for ${expected[i]}`);
  }
}
