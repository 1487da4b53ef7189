import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { programCommand } from '../../../node/commands/program.ts';
import { readSafetensorsIndex, readTensor } from '../../../node/model/safetensors.ts';
import { readRunRecord } from '../../../node/training/runRecord.ts';
import type { StepMetrics } from '../../../node/training/metrics.ts';
import type { OracleCase } from '../../oracle/oracleCase.ts';
import { failure, jsonLines, prefmesh } from './childProgram.ts';

const near = (actual: number, expected: number, relative: number, what: string) =>
  assert.ok(Math.abs(actual - expected) <= relative * Math.abs(expected), `${what}: ${actual} is not ${expected}`);

const oracle = (name: string, ...parts: string[]) => join('test/oracle', name, ...parts);
const weights = (folder: string) => readFileSync(join(folder, 'adapter_model.safetensors'));

describe('prefmesh train', () => {
  let home: string;
  before(() => (home = mkdtempSync(join(tmpdir(), 'prefmesh-train-'))));
  after(() => rmSync(home, { recursive: true, force: true }));

  const arguments_ = (out: string, ...rest: string[]) => {
    const inputs = ['--model', oracle('llama', 'model'), '--pairs', oracle('llama', 'pairs.jsonl')];
    return ['train', ...inputs, '--home', home, '--threads', '1', '--out', join(home, out), ...rest];
  };
  const small = ['--rank', '2', '--batch-size', '2', '--learning-rate', '1e-2'];

  for (const name of ['llama', 'qwen2']) {
    it(`follows the course of an independent implementation on ${name}`, () => {
      const expected = JSON.parse(readFileSync(oracle(name, 'expected.json'), 'utf8')) as OracleCase;
      const out = join(home, `oracle-${name}`);
      const inputs = ['--model', oracle(name, 'model'), '--pairs', oracle(name, 'pairs.jsonl')];
      const course = ['--steps', '5', '--batch-size', '4', '--shuffle', 'false', '--learning-rate', `${expected.lr}`];
      const flat = ['--schedule', 'constant', '--warmup', '0', '--beta', `${expected.beta}`];
      const folders = ['--init-adapter', oracle(name, 'adapter'), '--out', out, '--home', home];
      const steps = jsonLines<StepMetrics>('train', ...inputs, ...folders, '--threads', '1', ...course, ...flat);
      assert.equal(steps.length, 5);
      assert.deepEqual(Object.keys(steps[0]!), [
        'step',
        'loss',
        'grad_norm',
        'learning_rate',
        'rewards/chosen',
        'rewards/rejected',
        'rewards/accuracies',
        'rewards/ties',
        'rewards/margins',
        'logps/chosen',
        'logps/rejected',
        'num_tokens',
        'step_time',
        'tokens_per_second',
        'padding',
        'epoch',
        'pairs',
      ]);
      for (const [i, row] of expected.train.entries()) {
        near(steps[i]!.loss, row.loss, 1e-4, `loss of step ${i + 1}`);
        near(steps[i]!.grad_norm, row.grad_norm, 1e-4, `gradient norm of step ${i + 1}`);
        assert.ok(Math.abs(steps[i]!['rewards/margins'] - row.margin) < 1e-4);
        assert.equal(steps[i]!['rewards/accuracies'], row.accuracy);
        assert.equal(steps[i]!.learning_rate, expected.lr);
      }
      // The export folds the scale into B.
      const config = JSON.parse(readFileSync(oracle(name, 'adapter', 'adapter_config.json'), 'utf8')) as {
        r: number;
        lora_alpha: number;
      };
      const { tensors } = readSafetensorsIndex(join(out, 'adapter_model.safetensors'));
      assert.deepEqual([...tensors.keys()].sort(), Object.keys(expected.adapter_after).sort());
      for (const [tensor, { norm, head }] of Object.entries(expected.adapter_after)) {
        const scale = tensor.includes('lora_B') ? config.lora_alpha / config.r : 1;
        const values = readTensor(tensors.get(tensor)!);
        near(Math.hypot(...values), scale * norm, 1e-3, `norm of ${tensor}`);
        for (const [i, value] of head.entries()) assert.ok(Math.abs(values[i]! - scale * value) < 2e-4, tensor);
      }
    });
  }

  it('writes an adapter that scores the same when it is read back', () => {
    const out = join(home, 'own');
    const last = jsonLines<StepMetrics>(...arguments_('own', ...small, '--steps', '3', '--batch-size', '4')).at(-1)!;
    const inputs = ['--model', oracle('llama', 'model'), '--pairs', oracle('llama', 'pairs.jsonl'), '--home', home];
    const score = () => prefmesh('score', ...inputs, '--threads', '1', '--adapter', out, '--json').stdout;
    const first = score();
    assert.equal(score(), first);
    // One more step from the export begins with the figures that the export scores with.
    const [next] = jsonLines<StepMetrics>(
      ...arguments_('more', '--init-adapter', out, '--steps', '1', '--batch-size', '4', '--learning-rate', '1e-2'),
    );
    const lines = first
      .split('\n')
      .slice(0, -1)
      .map((line) => JSON.parse(line) as { chosen: number });
    const mean = lines.reduce((sum, { chosen }) => sum + chosen, 0) / lines.length;
    assert.ok(Math.abs(next!['logps/chosen'] - mean) < 1e-6 * Math.abs(mean));
    assert.ok(next!.loss < last.loss, 'and goes on from what was learnt');
    const { stderr } = prefmesh('score', ...inputs, '--adapter', out);
    assert.doesNotMatch(stderr, /does not name its base/);
  });

  it('records its settings beside the adapter, and nothing of the pairs', async () => {
    prefmesh(...arguments_('record', ...small, '--seed', '3'));
    const folder = join(home, 'record');
    assert.deepEqual(readdirSync(folder).sort(), [
      'README.md',
      'adapter_config.json',
      'adapter_model.safetensors',
      'training_config.json',
      'training_log.jsonl',
    ]);
    const record = (await readRunRecord(join(folder, 'training_config.json')))!;
    const { options } = record;
    assert.partialDeepStrictEqual(options, {
      loss: 'sigmoid',
      beta: 0.1,
      'learning-rate': 0.01,
      schedule: 'cosine',
      warmup: 0.1,
      'max-grad-norm': 1,
      'weight-decay': 0,
      'batch-size': 2,
      accumulate: 1,
      epochs: 1,
      shuffle: true,
      seed: 3,
      factor: 'both',
      rank: 2,
      alpha: 32,
      targets: 'q_proj,k_proj,v_proj,o_proj',
      'max-length': 512,
      device: 'cpu',
      threads: 1,
    });
    for (const path of ['home', 'model', 'pairs', 'out']) assert.ok(!Object.hasOwn(options, path), path);
    assert.deepEqual(record.counts, {
      pairs: { read: 4, used: 4, dropped: 0, droppedFor: {}, cut: 0, apart: 0, atAnswerText: 0, equal: 0 },
      evaluationPairs: null,
    });
    assert.equal(record.totalSteps, 2);
    assert.deepEqual([record.result!.step, record.result!.steps], [2, 2]);
    for (const name of readdirSync(folder)) {
      assert.doesNotMatch(readFileSync(join(folder, name), 'latin1'), /lunch|Summarise/, name);
    }
  });

  it('says once, on the first line, what became of the pairs', () => {
    const pairs = join(home, 'mixed.jsonl');
    const rows = [
      { prompt: 'a', chosen: 'b', rejected: 'c' },
      { prompt: 'a'.repeat(40), chosen: 'b', rejected: 'c' },
      { prompt: 'a', chosen: 'b'.repeat(40), rejected: 'c' },
      { prompt: 'a', chosen: 'b', rejected: 'b' },
      { chosen: 'ab', rejected: 'cd' },
      { chosen: 'ab', rejected: 'ac' },
    ];
    writeFileSync(pairs, rows.map((row) => JSON.stringify(row)).join('\n'));
    const args = ['--model', oracle('llama', 'model'), '--pairs', pairs, '--max-length', '20', '--rank', '1'];
    const { stdout, stderr } = prefmesh(
      'train',
      ...args,
      '--steps',
      '2',
      '--out',
      join(home, 'mixed'),
      '--home',
      home,
      '--json',
    );
    const [first, second] = stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as StepMetrics & { pairs?: object });
    assert.deepEqual(first!.pairs, {
      read: 6,
      used: 3,
      dropped: 2,
      droppedFor: { 'prompt too long': 1, 'no prompt': 1 },
      cut: 1,
      apart: 0,
      atAnswerText: 0,
      equal: 1,
    });
    assert.equal(second!.pairs, undefined);
    for (const note of [
      /1 pairs left out, their prompts fill 20/,
      /1 pairs have an answer cut at 20/,
      /answers are the same/,
    ]) {
      assert.match(stderr, note);
    }
  });

  it('repeats bit for bit, from its record alone and with nothing cached', () => {
    const fixed = [...small, '--seed', '7', '--loss', 'cdpo', '--epochs', '2', '--targets', 'q_proj,down_proj'];
    const watched = ['--eval-pairs', oracle('llama', 'pairs.jsonl')];
    prefmesh(...arguments_('twin-a', ...fixed, ...watched, '--eval-every', '2', '--early-stop', '9', '--csv'));
    const record = ['--config', join(home, 'twin-a', 'training_config.json')];
    const inputs = ['--model', oracle('llama', 'model'), '--pairs', oracle('llama', 'pairs.jsonl')];
    const elsewhere = ['--home', join(home, 'elsewhere'), '--out', join(home, 'twin-b')];
    const again = prefmesh('train', ...inputs, ...watched, ...elsewhere, ...record);
    assert.equal(again.code, 0, again.stderr);
    assert.doesNotMatch(again.stderr, /not the run of/);
    assert.deepEqual(weights(join(home, 'twin-b')), weights(join(home, 'twin-a')));
    const texts = ['README.md', 'training_config.json'].map((name) =>
      ['twin-a', 'twin-b'].map((twin) => readFileSync(join(home, twin, name), 'utf8')),
    );
    for (const [a, b] of texts) assert.equal(b, a);

    const other = prefmesh('train', ...inputs, ...watched, ...elsewhere, ...record, '--seed', '8', '--beta', '0.2');
    assert.match(
      other.stderr,
      /note: not the run of .+training_config.json: --seed was 7, is 8; --beta was 0.1, is 0.2/,
    );
    assert.notDeepEqual(weights(join(home, 'twin-b')), weights(join(home, 'twin-a')));
  });

  it('writes a model card that says what went in and what came out, and no word of the pairs anywhere', () => {
    const pairs = join(home, 'canaries.jsonl');
    const row = (i: number) => ({
      id: `canary-id-${i}`,
      prompt: `canary-prompt-${i} `,
      chosen: `canary-chosen-${i}`,
      rejected: i === 3 ? 'canary-chosen-3' : `canary-rejected-${i}`,
      metadata: { note: 'canary-note' },
    });
    writeFileSync(pairs, [0, 1, 2, 3].map((i) => JSON.stringify(row(i))).join('\n'));
    const inputs = ['--model', oracle('llama', 'model'), '--pairs', pairs, '--eval-pairs', pairs, '--home', home];
    const out = join(home, 'canary');
    const logs = ['--csv', '--tensorboard', '--checkpoint-every', '1', '--json', '--log-level', 'trace'];
    const outcome = prefmesh('train', ...inputs, '--out', out, ...small, ...logs);
    assert.equal(outcome.code, 0, outcome.stderr);

    const card = readFileSync(join(out, 'README.md'), 'utf8');
    const [, matter, body] = card.split('---\n');
    assert.match(
      matter!,
      /^base_model: "model"\nlibrary_name: peft\npipeline_tag: text-generation\ntags:\n( {2}- .+\n){4}$/,
    );
    assert.match(body!, /\| read \| 4 \| 4 \|/);
    assert.match(body!, /\| used \| 3 \| 3 \|/);
    assert.match(body!, /\| left out: both answers the same \| 1 \| 1 \|/);
    assert.match(body!, /On 3 held-out pairs, with 95 % Wilson intervals/);
    assert.match(body!, /\| loss \| 0\.6931 \| 0\.\d+ \|/);
    assert.match(body!, /\| pairs with a positive margin \| .+ \(\d\.\d+ to \d\.\d+\) \|/);
    assert.match(body!, /base model \| model, SHA-256 `[0-9a-f]{64}`/);
    assert.match(body!, /licence of the base model \| not stated/);
    assert.match(body!, /can leak what it was trained on/);

    const everything = readdirSync(out, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
    assert.ok(everything.length >= 7);
    for (const { parentPath, name } of everything) {
      const text = readFileSync(join(parentPath, name), 'latin1');
      assert.ok(!text.includes('canary-'), `${name} holds a text`);
      assert.ok(!text.includes(home), `${name} holds a path`);
    }
    assert.ok(!(outcome.stdout + outcome.stderr).includes('canary-'));
  });

  it('keeps the last finished step when interrupted, and resumes to the very same adapter', async () => {
    const settings = [...small, '--epochs', '60'];
    const { command, leadingArguments } = programCommand();
    const child = spawn(command, [...leadingArguments, ...arguments_('cut', ...settings), '--json']);
    let [lines, errors] = ['', ''];
    child.stderr.on('data', (chunk) => (errors += String(chunk)));
    child.stdout.on('data', (chunk) => {
      lines += String(chunk);
      if (lines.includes('"step":5,')) child.kill('SIGINT');
    });
    const [code] = (await once(child, 'close')) as [number];
    assert.equal(code, 130, errors);
    assert.match(errors, /error INTERRUPTED: interrupted; kept: the run after step \d+, in .+; --resume goes on/);
    assert.ok(!existsSync(join(home, 'cut', 'adapter_model.safetensors')));

    const rest = jsonLines<StepMetrics>(...arguments_('cut', ...settings, '--resume'));
    const done = lines.trimEnd().split('\n').length;
    assert.deepEqual([rest[0]!.step, rest.at(-1)!.step], [done + 1, 120]);
    prefmesh(...arguments_('uncut', ...settings));
    assert.deepEqual(weights(join(home, 'cut')), weights(join(home, 'uncut')));
    assert.ok(!existsSync(join(home, 'cut', 'checkpoints')), 'the saved run is cleared away');
  });

  it('saves itself every so many steps, and refuses to resume as another run', () => {
    const settings = [...small, '--epochs', '3', '--checkpoint-every', '1'];
    const overflowing = ['--learning-rate', '1e38', '--max-grad-norm', '1e38', '--warmup', '0'];
    const diverged = failure(...arguments_('saved', ...settings, ...overflowing));
    assert.deepEqual([diverged.code, diverged.exit], ['TRAINING_DIVERGED', 2]);
    assert.match(diverged.stderr, /not finite at step 2/);
    const refused = failure(...arguments_('saved', ...settings, '--resume'));
    assert.deepEqual([refused.code, refused.exit], ['RESUME_MISMATCH', 2]);
    assert.match(refused.stderr, /other settings: .*--learning-rate was 1e\+38, is 0.01/);
    assert.ok(existsSync(join(home, 'saved', 'checkpoints')), 'and what was saved is still there');
    const anew = prefmesh(...arguments_('saved', ...settings));
    assert.match(anew.stderr, /note: the run in .+, saved after step 1, is given up/);
    assert.equal(anew.code, 0);
  });

  it('watches held-out pairs, stops when their loss no longer falls, and keeps the best adapter', () => {
    // The watched pairs are the training pairs turned round, so their loss only rises.
    const turned = join(home, 'turned.jsonl');
    const rows = readFileSync(oracle('llama', 'pairs.jsonl'), 'utf8').trimEnd().split('\n');
    const turn = (row: { chosen: string; rejected: string }) => ({
      ...row,
      chosen: row.rejected,
      rejected: row.chosen,
    });
    writeFileSync(turned, rows.map((row) => JSON.stringify(turn(JSON.parse(row) as never))).join('\n'));
    const lines = jsonLines<StepMetrics & { eval_loss?: number }>(
      ...arguments_('watched', ...small, '--epochs', '9', '--eval-pairs', turned, '--early-stop', '2'),
    );
    const evaluations = lines.filter((line) => line.eval_loss !== undefined);
    assert.deepEqual(
      evaluations.map(({ step }) => step),
      [0, 2, 4],
    );
    assert.equal(evaluations[0]!.eval_loss, Math.LN2);
    assert.ok(evaluations[2]!.eval_loss! > evaluations[1]!.eval_loss!);
    assert.equal(lines.filter((line) => line.loss !== undefined).length, 4, 'two epochs of two steps');
    const { tensors } = readSafetensorsIndex(join(home, 'watched', 'adapter_model.safetensors'));
    const b = [...tensors.values()].filter(({ name }) => name.includes('lora_B'));
    assert.ok(
      b.every((tensor) => readTensor(tensor).every((value) => value === 0)),
      'the best was the beginning',
    );
  });

  it('holds to a reference adapter when one is named', () => {
    const anchored = ['--init-adapter', oracle('llama', 'adapter'), '--batch-size', '4', '--steps', '1'];
    const [bare] = jsonLines<StepMetrics>(...arguments_('anchor-a', ...anchored));
    const reference = ['--reference-adapter', oracle('llama', 'adapter')];
    const [held] = jsonLines<StepMetrics>(...arguments_('anchor-b', ...anchored, ...reference));
    assert.notEqual(bare!['rewards/margins'], 0);
    assert.equal(held!.loss, Math.LN2);
    assert.equal(held!['rewards/margins'], 0);
  });

  it('refuses an adapter that was trained on another base', () => {
    prefmesh(...arguments_('theirs', ...small, '--steps', '1', '--targets', 'q_proj,v_proj'));
    const theirs = join(home, 'theirs');
    const inputs = ['--model', oracle('qwen2', 'model'), '--pairs', oracle('qwen2', 'pairs.jsonl'), '--home', home];
    const refused = failure('train', ...inputs, '--out', join(home, 'never'), '--init-adapter', theirs);
    assert.deepEqual([refused.code, refused.exit], ['ADAPTER_OTHER_BASE', 5]);
    assert.ok(!existsSync(join(home, 'never')));
  });

  it('leaves out pairs that teach nothing, and says how many', () => {
    const pairs = join(home, 'some.jsonl');
    const rows = [
      { prompt: 'a', chosen: 'yes', rejected: 'no' },
      { prompt: 'b', chosen: 'same', rejected: 'same' },
      { prompt: 'c'.repeat(30), chosen: 'yes', rejected: 'no' },
    ];
    writeFileSync(pairs, rows.map((row) => JSON.stringify(row)).join('\n'));
    const args = ['train', '--model', oracle('llama', 'model'), '--home', home, '--out', join(home, 'some'), ...small];
    const { code, stderr } = prefmesh(...args, '--pairs', pairs, '--max-length', '20');
    assert.equal(code, 0, stderr);
    assert.match(stderr, /1 pairs left out, their prompts fill 20 tokens/);
    assert.match(stderr, /1 pairs left out, their two answers are the same/);
    writeFileSync(pairs, JSON.stringify(rows[1]));
    assert.equal(failure(...args, '--pairs', pairs).code, 'PAIRS_NONE');
  });

  it('names a folder where it needs a file, and a file where it needs a folder', () => {
    const args = ['train', '--model', oracle('llama', 'model'), '--home', home, ...small];
    const noFile = failure(...args, '--pairs', home, '--out', join(home, 'never'));
    assert.deepEqual([noFile.code, noFile.exit], ['FILE_MISSING', 2]);
    assert.match(noFile.stderr, /is missing, or is not a regular file/);
    const taken = join(home, 'taken');
    writeFileSync(taken, 'kept');
    const noFolder = failure(...args, '--pairs', oracle('llama', 'pairs.jsonl'), '--out', taken);
    assert.equal(noFolder.code, 'STORAGE_FAILED');
    assert.match(noFolder.stderr, /taken.*ENOTDIR/);
    assert.equal(readFileSync(taken, 'utf8'), 'kept');
  });
});
