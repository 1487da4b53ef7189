import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { programCommand } from '../../../node/commands/program.ts';
import { wilson } from '../../../node/evaluation/intervals.ts';
import { openCheckpoint } from '../../../node/model/checkpoint.ts';
import { makeGlobalSet, makePrompts } from '../../../node/preferences/tastes/tastePairs.ts';
import { initialAdapter } from '../../../node/training/adapter.ts';
import { writePeftAdapter } from '../../../node/training/peft.ts';

interface Outcome {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

const BETA = 0.1;
const pairs = makeGlobalSet({ seed: 5, purpose: 'evaluation', count: 12 });

describe('prefmesh evaluate', function () {
  this.timeout(180_000);
  let folder: string;
  let pairsFile: string;
  let promptsFile: string;
  let adapterFolder: string;

  before(async () => {
    folder = mkdtempSync(join(tmpdir(), 'prefmesh-evaluate-'));
    pairsFile = join(folder, 'pairs.jsonl');
    writeFileSync(pairsFile, pairs.map((pair) => JSON.stringify(pair)).join('\n'));
    promptsFile = join(folder, 'prompts.jsonl');
    const prompts = makePrompts({ seed: 5, count: 3 });
    writeFileSync(promptsFile, prompts.map((prompt) => JSON.stringify({ prompt })).join('\n'));
    adapterFolder = join(folder, 'adapter');
    const { config, hash } = await openCheckpoint('embedded');
    const adapter = initialAdapter(config, { rank: 4, targets: ['q_proj', 'v_proj'] }, 4, 1);
    // A fresh adapter does nothing, its B being zero; this one disturbs the model well enough to be noticed.
    for (const { factor, shape, offset } of adapter.table) {
      if (factor === 'A') continue;
      for (let i = 0; i < shape[0] * shape[1]; i++) adapter.vector[offset + i] = 2 * Math.sin(i + offset);
    }
    await writePeftAdapter(adapterFolder, { ...adapter, baseHash: hash }, { baseModel: 'embedded' });
  });
  after(() => rmSync(folder, { recursive: true, force: true }));

  async function prefmesh(...args: string[]): Promise<Outcome> {
    const { command, leadingArguments } = programCommand();
    const child = spawn(command, [...leadingArguments, ...args, '--home', join(folder, 'home')], {
      env: { ...process.env, JUDGE_KEY: 'k-1' },
    });
    let [stdout, stderr] = ['', ''];
    child.stdout.on('data', (chunk: Buffer) => (stdout += chunk.toString()));
    child.stderr.on('data', (chunk: Buffer) => (stderr += chunk.toString()));
    await once(child, 'close');
    return { code: child.exitCode, stdout, stderr };
  }

  const evaluate = (...args: string[]) =>
    prefmesh('evaluate', '--model', 'embedded', '--pairs', pairsFile, '--max-tokens', '24', ...args);

  function figuresOf({ code, stdout, stderr }: Outcome) {
    assert.equal(code, 0, stderr);
    assert.equal(stdout.trim().split('\n').length, 1, 'stdout holds one JSON line');
    return JSON.parse(stdout) as {
      preference_accuracy: { value: number; low: number; high: number; n: number; ties: number };
      by_group?: Record<string, { n: number }>;
      mean_margin: number;
      perplexity: number;
      base_perplexity: number;
      win_rate: { value: number; n: number; ties: number; inconsistent: number; judge: string } | null;
      distinct_2: number;
    };
  }

  it('calls every pair a tie without an adapter, for nothing is preferred over itself', async () => {
    const figures = figuresOf(await evaluate('--json', '--max-prompts', '2'));
    assert.deepEqual(figures.preference_accuracy, { ...wilson(6, 12), n: 12, ties: 12 });
    assert.equal(figures.perplexity, figures.base_perplexity);
    assert.ok(figures.perplexity > 1 && figures.perplexity < 100, `${figures.perplexity}`);
    assert.ok(figures.distinct_2 > 0 && figures.distinct_2 <= 1);
    assert.equal(figures.win_rate, null);
  });

  it('finds the accuracy and margin that follow from the log-probabilities of prefmesh score', async () => {
    const adapter = ['--adapter', adapterFolder, '--json'];
    const scored = await prefmesh('score', '--model', 'embedded', '--pairs', pairsFile, ...adapter);
    type Row = { chosen: number; rejected: number; refChosen: number; refRejected: number };
    const rows = scored.stdout.trim().split('\n');
    const margins = rows.map((line) => {
      const { chosen, rejected, refChosen, refRejected } = JSON.parse(line) as Row;
      return BETA * (chosen - refChosen - (rejected - refRejected));
    });
    const wins = margins.filter((margin) => margin > 0).length;
    assert.ok(wins > 0 && wins < 12, 'the adapter tells pairs apart');

    const figures = figuresOf(await evaluate(...adapter, '--group-by', 'taste', '--max-prompts', '2'));
    assert.deepEqual(figures.preference_accuracy, { ...wilson(wins, 12), n: 12, ties: 0 });
    const mean = margins.reduce((sum, margin) => sum + margin, 0) / margins.length;
    assert.ok(Math.abs(figures.mean_margin - mean) < 1e-9);
    assert.notEqual(figures.perplexity, figures.base_perplexity);
    const groups = Object.entries(figures.by_group ?? {}).map(([taste, { n }]) => [taste, n]);
    assert.deepEqual(Object.fromEntries(groups), { informal: 3, concise: 3, technical: 3, citing: 3 });
  });

  it('finds the same margins where prompts are not written apart from the answers', async () => {
    const few = pairs.slice(0, 4);
    const written = (name: string, rows: readonly object[]) => {
      const file = join(folder, name);
      writeFileSync(file, rows.map((row) => JSON.stringify(row)).join('\n'));
      return file;
    };
    const apart = written('apart.jsonl', few);
    const whole = written(
      'whole.jsonl',
      few.map(({ id, prompt, chosen, rejected }) => ({ id, chosen: prompt + chosen, rejected: prompt + rejected })),
    );
    const of = async (file: string) =>
      figuresOf(
        await prefmesh(
          ...['evaluate', '--model', 'embedded', '--pairs', file, '--adapter', adapterFolder, '--json'],
          ...['--max-prompts', '1', '--max-tokens', '8'],
        ),
      );
    const [first, second] = [await of(apart), await of(whole)];
    assert.deepEqual(second.preference_accuracy, first.preference_accuracy);
    // What two answers begin with alike counts to the prompt, and cancels out of a margin.
    assert.ok(Math.abs(second.mean_margin - first.mean_margin) < 1e-5);
  });

  it('names the style judge and what it is blind to', async () => {
    const judged = ['--adapter', adapterFolder, '--prompts', promptsFile, '--judge', 'style'];
    const { win_rate: rate } = figuresOf(await evaluate(...judged, '--json'));
    assert.equal(rate?.judge, 'style');
    assert.equal(rate.n, 3);
    const { code, stdout, stderr } = await evaluate(...judged);
    assert.equal(code, 0);
    assert.equal(stdout, '', 'words for people stay out of a pipe');
    assert.match(stderr, /judge style: .*blind to whether an answer is correct or helpful/);
  });

  it('calls the win rate even against the same adapter, without asking about equal answers', async () => {
    const same = ['--adapter', adapterFolder, '--baseline', adapterFolder, '--prompts', promptsFile];
    const { win_rate: rate } = figuresOf(await evaluate(...same, '--judge', 'style', '--json'));
    assert.deepEqual([rate?.value, rate?.ties, rate?.inconsistent], [0.5, 3, 0]);
  });

  it('asks an endpoint about the prompts of the named file, and sends it nothing of the pairs', async () => {
    const received: { text: string; authorization: string | undefined }[] = [];
    const server = createServer((request, response) => {
      let text = '';
      request.on('data', (chunk: Buffer) => (text += chunk.toString()));
      request.on('end', () => {
        received.push({ text, authorization: request.headers.authorization });
        response.end(JSON.stringify({ choices: [{ message: { content: 'A' } }] }));
      });
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/v1`;
    try {
      const judge = ['--judge', 'openai', '--judge-url', url, '--judge-model', 'm', '--judge-key-env', 'JUDGE_KEY'];
      const outcome = await evaluate('--adapter', adapterFolder, '--prompts', promptsFile, ...judge, '--json');
      const { win_rate: rate } = figuresOf(outcome);
      // The server always says A, so a verdict never survives the other order.
      assert.equal(rate?.judge, 'openai:m');
      assert.equal(rate.value, 0.5);
      assert.equal(rate.inconsistent * 2, received.length);
    } finally {
      server.close();
    }
    assert.ok(received.length >= 2, 'the answers differ from the base model’s');
    for (const { text, authorization } of received) {
      assert.equal(authorization, 'Bearer k-1');
      for (const { prompt } of pairs) assert.ok(!text.includes(JSON.stringify(prompt).slice(1, -1)));
    }
  });

  it('refuses to send prompts that were not named as free to leave', async () => {
    const { code, stderr } = await evaluate(
      '--judge',
      'openai',
      '--judge-url',
      'http://127.0.0.1:9',
      '--judge-model',
      'm',
    );
    assert.equal(code, 2);
    assert.match(stderr, /^error USAGE: --judge openai sends prompts .*\nfix: pass --prompts /);
  });

  it('names file, line and field of a malformed pair, without its text', async () => {
    const broken = join(folder, 'broken.jsonl');
    writeFileSync(broken, `${JSON.stringify(pairs[0])}\n{"prompt":"a secret question","chosen":"x"}\n`);
    const { code, stderr } = await prefmesh('evaluate', '--model', 'embedded', '--pairs', broken);
    assert.equal(code, 3);
    assert.match(stderr, /^error PAIRS_INVALID: .*broken\.jsonl.*2.*rejected/);
    assert.doesNotMatch(stderr, /secret/);
  });
});
