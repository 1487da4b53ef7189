import assert from 'node:assert/strict';
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { OracleCase } from '../../oracle/oracleCase.ts';
import { failure, jsonLines } from './childProgram.ts';

interface Line {
  readonly id: string;
  readonly chosen: number | null;
  readonly rejected: number | null;
  readonly refChosen: number | null;
  readonly refRejected: number | null;
}

const near = (actual: number | null, expected: number) =>
  assert.ok(Math.abs(actual! - expected) <= 1e-4 * Math.abs(expected), `${actual} is not ${expected}`);

describe('prefmesh score', () => {
  let home: string;
  before(() => (home = mkdtempSync(join(tmpdir(), 'prefmesh-score-'))));
  after(() => rmSync(home, { recursive: true, force: true }));
  const oracle = (name: string, ...parts: string[]) => join('test/oracle', name, ...parts);
  const common = () => ['--home', home, '--threads', '1'];

  for (const name of ['llama', 'qwen2']) {
    it(`agrees with an independent implementation on ${name}`, () => {
      const expected = JSON.parse(readFileSync(oracle(name, 'expected.json'), 'utf8')) as OracleCase;
      const [model, pairs] = [oracle(name, 'model'), oracle(name, 'pairs.jsonl')];
      const args = ['score', '--model', model, '--pairs', pairs, ...common()];
      const adapted = jsonLines<Line>(...args, '--adapter', oracle(name, 'adapter'));
      assert.deepEqual(Object.keys(adapted[0]!), ['id', 'chosen', 'rejected', 'refChosen', 'refRejected']);
      const bare = jsonLines<Line>(...args);
      for (const [i, row] of expected.score.entries()) {
        assert.equal(adapted[i]!.id, row.id);
        near(adapted[i]!.chosen, row.chosen);
        near(adapted[i]!.rejected, row.rejected);
        near(adapted[i]!.refChosen, row.ref_chosen);
        near(adapted[i]!.refRejected, row.ref_rejected);
        near(bare[i]!.chosen, row.ref_chosen);
        assert.equal(bare[i]!.refChosen, bare[i]!.chosen);
        assert.equal(bare[i]!.refRejected, bare[i]!.rejected);
      }
    });
  }

  it('has a line for every pair, in order, also for one that does not fit or is cut', () => {
    const pairs = join(home, 'long.jsonl');
    const rows = [
      { id: 'fits', prompt: 'a', chosen: 'b', rejected: 'c' },
      { id: 'full', prompt: 'a'.repeat(40), chosen: 'b', rejected: 'c' },
      { id: 'whole', chosen: 'ab', rejected: 'ac' },
      { id: 'strange', chosen: 'ab', rejected: 'cd' },
      { id: 'cut', prompt: 'a', chosen: 'b'.repeat(40), rejected: 'c' },
    ];
    writeFileSync(pairs, rows.map((row) => JSON.stringify(row)).join('\n'));
    const args = ['--model', oracle('llama', 'model'), '--pairs', pairs, '--max-length', '20', ...common()];
    const lines = jsonLines<Line & { dropped?: boolean; reason?: string; cut?: boolean }>('score', ...args);
    assert.deepEqual(
      lines.map(({ id, chosen, dropped, reason, cut }) => [id, chosen === null, dropped && reason, cut]),
      [
        ['fits', false, undefined, undefined],
        ['full', true, 'prompt too long', undefined],
        ['whole', false, undefined, undefined],
        ['strange', true, 'no prompt', undefined],
        ['cut', false, undefined, true],
      ],
    );
  });

  it('refuses pairs, models and adapters that are not what they should be, each by its code', () => {
    const score = (model: string, pairs: string, ...rest: string[]) =>
      failure('score', '--model', model, '--pairs', pairs, ...common(), ...rest);
    const model = oracle('llama', 'model');
    const good = oracle('llama', 'pairs.jsonl');

    const pairs = join(home, 'bad.jsonl');
    writeFileSync(pairs, `${readFileSync(good, 'utf8').trimEnd()}\n{"prompt": "SECRET", "chosen": "SECRET"}\n`);
    const faulty = score(model, pairs);
    assert.deepEqual([faulty.code, faulty.exit], ['PAIRS_INVALID', 3]);
    assert.match(faulty.stderr, /bad\.jsonl line 5, field rejected/);
    assert.doesNotMatch(faulty.stderr, /SECRET/);

    const gpt = join(home, 'gpt');
    cpSync(model, gpt, { recursive: true });
    writeFileSync(join(gpt, 'config.json'), '{"architectures": ["GPT2LMHeadModel"]}');
    const unsupported = score(gpt, good);
    assert.deepEqual([unsupported.code, unsupported.exit], ['MODEL_UNSUPPORTED', 3]);
    assert.match(unsupported.stderr, /LlamaForCausalLM, MistralForCausalLM, Qwen2ForCausalLM/);

    assert.equal(score(join(home, 'absent'), good).code, 'MODEL_NOT_FOUND');
    assert.equal(score(model, join(home, 'absent')).code, 'FILE_MISSING');
    const misfit = score(oracle('qwen2', 'model'), good, '--adapter', oracle('llama', 'pairs.jsonl'));
    assert.deepEqual([misfit.code, misfit.exit], ['ADAPTER_INVALID', 3]);
  });
});
