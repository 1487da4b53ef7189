import assert from 'node:assert/strict';
import { cpSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openCheckpoint } from '../../../node/model/checkpoint.ts';
import { failure, jsonLines } from './childProgram.ts';

const llama = 'test/oracle/llama/model';

describe('commands that look at models and adapters, and generate', () => {
  let home: string;
  before(() => (home = mkdtempSync(join(tmpdir(), 'prefmesh-models-'))));
  after(() => rmSync(home, { recursive: true, force: true }));

  it('list the embedded model and those under the data folder', () => {
    mkdirSync(join(home, 'models', 'maker'), { recursive: true });
    cpSync('test/oracle/qwen2/model', join(home, 'models', 'maker', 'tiny'), { recursive: true });
    const lines = jsonLines<{ model: string; family: string }>('model', 'list', '--home', home);
    assert.deepEqual(
      lines.map(({ model, family }) => [model, family]),
      [
        ['embedded', 'llama'],
        ['maker/tiny', 'qwen2'],
      ],
    );
  });

  it('inspect a model: its identity, its size, its tokens', async () => {
    const [facts] = jsonLines<Record<string, unknown>>('model', 'inspect', llama, '--home', home);
    const { hash, config } = await openCheckpoint(llama);
    assert.equal(facts!.sha256, hash);
    assert.deepEqual(facts!.config, JSON.parse(JSON.stringify(config)));
    // Two of embedding and head [264, 32], then per layer q, o [32, 32], k, v [16, 32], three of [64, 32], two norms.
    const perLayer = 2 * 32 * 32 + 2 * 16 * 32 + 3 * 64 * 32 + 2 * 32;
    assert.equal(facts!.parameters, 2 * 264 * 32 + 2 * perLayer + 32);
    assert.deepEqual(facts!.parts, {
      embedding: 264 * 32,
      head: 264 * 32,
      attention: 2 * (2 * 32 * 32 + 2 * 16 * 32),
      feedForward: 2 * 3 * 64 * 32,
      norms: 5 * 32,
    });
    assert.deepEqual(facts!.tokenizer, { tokens: 257, eos: 256, bos: null, addsBos: false });
  });

  it('tell the memory of training for the settings asked about', () => {
    interface Facts {
      memory: { pairs_at_once: number; training: { activation_checkpointing: boolean; peak: number }[] };
    }
    const peaks = (...args: string[]) => {
      const [facts] = jsonLines<Facts>('model', 'inspect', llama, '--home', home, ...args);
      const { training, pairs_at_once: pairs } = facts!.memory;
      return {
        pairs,
        peaks: training.map(({ peak }) => peak),
        again: training.map((one) => one.activation_checkpointing),
      };
    };
    const [small, large] = [
      peaks('--batch-size', '1', '--max-length', '64'),
      peaks('--batch-size', '4', '--max-length', '64'),
    ];
    assert.deepEqual([small.pairs, large.pairs, small.again], [1, 4, [false, true, false, true, false, true]]);
    for (const [i, peak] of small.peaks.entries()) assert.ok(peak < large.peaks[i]!);
    for (const i of [0, 2, 4]) assert.ok(large.peaks[i + 1]! < large.peaks[i]!);
  });

  it('inspect an adapter, and tell whether it fits a model', () => {
    const [facts] = jsonLines<Record<string, unknown>>(
      'adapter',
      'inspect',
      'test/oracle/llama/adapter',
      '--model',
      llama,
    );
    assert.deepEqual([facts!.rank, facts!.alpha, facts!.parameters, facts!.fits], [4, 8, 1792, llama]);
    const misfit = failure('adapter', 'inspect', 'test/oracle/llama/adapter', '--model', 'embedded');
    assert.deepEqual([misfit.code, misfit.exit], ['ADAPTER_INVALID', 3]);
    assert.equal(failure('adapter', 'inspect', join(home, 'absent')).code, 'ADAPTER_INVALID');
  });

  it('generate the same text from the same seed, and no more than asked', () => {
    interface Generated {
      text: string;
      tokens: number;
      tokens_per_second: number;
      finish_reason: string;
    }
    const args = ['generate', '--model', llama, '--home', home, '--prompt', 'Hello', '--max-tokens', '7'];
    const sampled = [...args, '--temperature', '1', '--seed', '4'];
    const [first] = jsonLines<Generated>(...sampled);
    const [second] = jsonLines<Generated>(...sampled);
    assert.deepEqual(Object.keys(first!), ['text', 'tokens', 'tokens_per_second', 'finish_reason']);
    assert.equal(second!.text, first!.text);
    assert.ok(first!.tokens <= 7 && first!.tokens_per_second > 0);
    const [adapted] = jsonLines<Generated>(...args, '--adapter', 'test/oracle/llama/adapter');
    assert.notEqual(adapted!.text, jsonLines<Generated>(...args)[0]!.text);
    const full = failure(...args.slice(0, 5), '--prompt', 'x'.repeat(600));
    assert.deepEqual([full.code, full.exit], ['USAGE', 2]);
  });

  it('ask in the chat template with --chat, and refuse where the model has none', () => {
    interface Generated {
      text: string;
    }
    const ask = (...more: string[]) =>
      jsonLines<Generated>('generate', '--model', 'embedded', '--home', home, '--max-tokens', '12', ...more)[0]!.text;
    // The embedded model's template ends a user's turn with a new line.
    const asked = ask('--chat', '--prompt', 'How do I grow tomatoes?');
    assert.equal(asked, ask('--prompt', 'How do I grow tomatoes?\n'));
    assert.notEqual(asked, ask('--prompt', 'How do I grow tomatoes?'));
    const refused = failure('generate', '--model', llama, '--home', home, '--chat', '--prompt', 'Hello');
    assert.deepEqual([refused.code, refused.exit], ['USAGE', 2]);
    assert.match(refused.stderr, /has no chat template/);
  });
});
