import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { programCommand } from '../../../node/commands/program.ts';

/** Requests closer than a second count as one and the same. */
const ANOTHER_REQUEST_MS = 1_050;

describe('a second Ctrl-C', () => {
  it('ends the process in the middle of a run of the engine, without a native abort', async function () {
    this.timeout(120_000);
    const home = mkdtempSync(join(tmpdir(), 'prefmesh-twice-'));
    const row = (i: number) => ({
      prompt: `Question ${i}? `.repeat(30),
      chosen: `${'yes '.repeat(60)}${i}`,
      rejected: `${'no '.repeat(60)}${i}`,
    });
    // One step of all pairs at once takes several seconds.
    const pairs = join(home, 'pairs.jsonl');
    writeFileSync(pairs, Array.from({ length: 96 }, (_, i) => JSON.stringify(row(i))).join('\n'));
    const { command, leadingArguments } = programCommand();
    const inputs = ['train', '--model', 'embedded', '--device', 'cpu', '--pairs', pairs, '--home', home];
    const course = ['--out', join(home, 'out'), '--batch-size', '96', '--steps', '2', '--token-budget', '100000'];
    const child = spawn(command, [...leadingArguments, ...inputs, ...course]);
    let errors = '';
    child.stderr.on('data', (chunk) => {
      const asked = errors.includes('reference on');
      errors += String(chunk);
      if (asked || !errors.includes('reference on')) return;
      child.kill('SIGINT');
      setTimeout(() => child.kill('SIGINT'), ANOTHER_REQUEST_MS).unref();
    });
    const [code, signal] = (await once(child, 'close')) as [number | null, string | null];
    // Where the step ends within the second, the first request has ended the command cleanly.
    assert.ok(code === 130 || signal === 'SIGINT', `code ${code}, signal ${signal}\n${errors}`);
    rmSync(home, { recursive: true, force: true });
  });
});
