import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { Learner } from '../../aggregator/demo/alone.ts';
import { DEMO_TERMS, demoTraining, makeDemoData } from '../../aggregator/demo/plan.ts';
import { programCommand } from '../../node/commands/program.ts';
import { openCheckpoint } from '../../node/model/checkpoint.ts';
import { Tokenizer } from '../../node/model/tokenizer.ts';
import { initialAdapter } from '../../node/training/adapter.ts';
import { readPeftAdapter } from '../../node/training/peft.ts';
import { Policy } from '../../node/training/policy.ts';
import { tokenizePairs } from '../../node/training/tokenization.ts';
import { sha256 } from '../../protocol/names.ts';
import { encodeBlob } from '../../protocol/tensorBlob.ts';
import { runRounds } from '../../scripts/study/methods.ts';

const SIZE = { participants: 2, rounds: 2, seed: 3 };
const COMMAND = ['demo', '--participants', '2', '--rounds', '2', '--seed', '3', '--device', 'cpu', '--threads', '2'];

interface Figures {
  readonly preferenceAccuracy: number;
  readonly winRate: number;
  readonly perplexity: number;
}

interface DemoResult {
  readonly participants: number;
  readonly rounds: number;
  readonly base: Figures;
  readonly localOnly: { readonly mean: Figures; readonly best: Figures };
  readonly federated: Figures;
  readonly adapter: string;
  readonly report: string;
  readonly aggregate: string;
  readonly bytesSent: number;
  readonly seconds: number;
}

describe('the demo', function () {
  this.timeout(300_000);

  const home = mkdtempSync(join(tmpdir(), 'prefmesh-demo-test-'));
  const out = join(home, 'out');
  let result: DemoResult;

  before(async () => {
    const { stdout } = await run([...COMMAND, '--out', out, '--json']);
    result = JSON.parse(stdout) as DemoResult;
  });

  after(() => rmSync(home, { recursive: true, force: true }));

  it('answers with the figures of the base, of each participant alone, and of the federation', () => {
    assert.deepEqual([result.participants, result.rounds], [2, 2]);
    for (const figures of [result.base, result.localOnly.mean, result.localOnly.best, result.federated]) {
      assert.ok(figures.preferenceAccuracy > 0 && figures.preferenceAccuracy <= 1);
      assert.ok(figures.winRate >= 0 && figures.winRate <= 1);
      assert.ok(figures.perplexity > 1);
    }
    assert.equal(result.base.preferenceAccuracy, 0.5, 'the base ties with itself on every pair');
    assert.ok(result.federated.preferenceAccuracy > 0.5, 'nothing was learnt');
    assert.ok(result.seconds > 0 && result.bytesSent > 0);
  });

  it('computes through its processes and sockets bit for bit what the rounds give in one process', async () => {
    const checkpoint = await openCheckpoint('embedded');
    const tokenizer = await Tokenizer.open(checkpoint.folder);
    const { rank, alpha, maxLength } = DEMO_TERMS;
    await using policy = await Policy.open({ checkpoint, layout: DEMO_TERMS, scale: alpha / rank, threads: 1 });
    const learners: Learner[] = [];
    for (const own of makeDemoData(SIZE).participants) {
      const { pairs } = tokenizePairs(tokenizer, own, { maxLength });
      learners.push({ pairs, reference: await policy.logProbs(pairs, null) });
    }
    const { vector, table } = initialAdapter(checkpoint.config, DEMO_TERMS, alpha, SIZE.seed);
    const start = { policy, initial: vector, table, training: demoTraining(), ...SIZE };
    const signal = new AbortController().signal;
    const adapter = await runRounds({ ...start, signal }, learners, 'alternating');
    assert.equal(result.aggregate, sha256(encodeBlob(adapter)));
  });

  it('leaves a PEFT adapter of the embedded model and a page that needs nothing else', async () => {
    const { config, hash } = await openCheckpoint('embedded');
    const adapter = await readPeftAdapter(result.adapter, config);
    assert.deepEqual([adapter.rank, adapter.baseHash], [DEMO_TERMS.rank, hash]);
    const page = readFileSync(result.report, 'utf8');
    assert.match(page, /Preference accuracy/);
    assert.doesNotMatch(page, /<(script|link|img)[^>]+(src|href)=/);
  });

  it('replaces what a demo wrote, and nothing else', async () => {
    const foreign = mkdtempSync(join(home, 'foreign-'));
    writeFileSync(join(foreign, 'novel.md'), 'chapter one');
    await assert.rejects(run([...COMMAND, '--out', foreign]), (error: { code: number; stderr: string }) => {
      assert.equal(error.code, 2);
      assert.match(error.stderr, /error DEMO_FOLDER_IN_USE: .*foreign/);
      return true;
    });
    assert.equal(readFileSync(join(foreign, 'novel.md'), 'utf8'), 'chapter one');
  });
});

function run(args: readonly string[]): Promise<{ stdout: string; stderr: string }> {
  const { command, leadingArguments } = programCommand();
  return promisify(execFile)(command, [...leadingArguments, ...args], { maxBuffer: 2 ** 24 });
}
