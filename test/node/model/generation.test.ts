import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { openCheckpoint, type Checkpoint } from '../../../node/model/checkpoint.ts';
import { Generator, type Generation } from '../../../node/model/generation.ts';
import { readPairs } from '../../../node/preferences/pairs.ts';
import { adapterVectorLength, adapterVectorTable, type AdapterLayout } from '../../../node/training/adapterVector.ts';
import { readPeftAdapter } from '../../../node/training/peft.ts';
import { Policy } from '../../../node/training/policy.ts';
import { RandomStream } from '../../../node/training/randomStream.ts';
import { ORACLE_CASES, oracleFolder, type OracleCase } from '../../oracle/oracleCase.ts';

const LAYOUT: AdapterLayout = { rank: 2, targets: ['q_proj', 'v_proj', 'down_proj'] };
const SCALE = 2;
const PROMPTS = ['A short one', 'Somewhat longer, this one', 'x', 'The longest prompt of them all, by some way'].map(
  (text) => [...Buffer.from(text)],
);

for (const name of ['llama', 'qwen2']) {
  describe(`generation with the ${name} checkpoint`, () => {
    let checkpoint: Checkpoint;
    let vector: Float32Array;
    before(async () => {
      checkpoint = await openCheckpoint(join(oracleFolder(name), 'model'));
      const random = new RandomStream(5, 'adapter');
      const length = adapterVectorLength(adapterVectorTable(checkpoint.config, LAYOUT));
      vector = Float32Array.from({ length }, () => random.uniform() - 0.5);
    });

    const open = (adapted: boolean): Promise<Generator> =>
      Generator.open({
        checkpoint,
        threads: 1,
        adapter: adapted ? { vector, layout: LAYOUT, scale: SCALE } : undefined,
      });

    for (const adapted of [false, true]) {
      it(`chooses, token for token, what the policy finds likeliest ${adapted ? 'with' : 'without'} an adapter`, async () => {
        await using generator = await open(adapted);
        const answers = await generator.generate(PROMPTS, { maxTokens: 12 });
        await using policy = await Policy.open({ checkpoint, layout: LAYOUT, scale: SCALE, threads: 1 });
        const { vocabSize } = checkpoint.config;
        for (const [i, { tokens }] of answers.entries()) {
          for (const at of [0, 1, 5]) {
            const prompt = [...PROMPTS[i]!, ...tokens.slice(0, at)];
            const everyToken = Array.from({ length: vocabSize / 2 }, (_, token) => ({
              id: `${token}`,
              prompt,
              chosen: [token],
              rejected: [token + vocabSize / 2],
            }));
            const { chosen, rejected } = await policy.logProbs(everyToken, adapted ? vector : null);
            const scores = [...chosen, ...rejected];
            const best = Math.max(...scores);
            assert.ok(best - scores[tokens[at]!]! < 1e-4, `prompt ${i}, token ${at}`);
          }
        }
      });
    }

    it('gives a prompt the same answer alone and beside others', async () => {
      await using generator = await open(true);
      const together = await generator.generate(PROMPTS, { maxTokens: 20 });
      const alone: Generation[] = [];
      for (const prompt of PROMPTS) alone.push(...(await generator.generate([prompt], { maxTokens: 20 })));
      assert.deepEqual(together, alone);
    });

    it('samples by seed', async () => {
      await using generator = await open(false);
      const sample = (seed: number) => generator.generate(PROMPTS, { maxTokens: 20, temperature: 1, topP: 0.9, seed });
      assert.deepEqual(await sample(1), await sample(1));
      assert.notDeepEqual(await sample(1), await sample(2));
    });

    it('ends at the end token without giving it back, and at the limit', async () => {
      await using generator = await open(false);
      const [free] = await generator.generate([PROMPTS[0]!], { maxTokens: 20 });
      assert.equal(free!.finishReason, 'length');
      assert.equal(free!.tokens.length, 20);
      const end = free!.tokens[4]!;
      const config = { ...checkpoint.config, eosTokenIds: [end] };
      await using stopping = await Generator.open({ checkpoint: { ...checkpoint, config }, threads: 1 });
      const [stopped] = await stopping.generate([PROMPTS[0]!], { maxTokens: 20 });
      assert.deepEqual(stopped, { tokens: free!.tokens.slice(0, free!.tokens.indexOf(end)), finishReason: 'stop' });
    });

    it('does not go beyond the positions the model was made for', async () => {
      const config = { ...checkpoint.config, maxPositions: PROMPTS[0]!.length + 3 };
      await using generator = await Generator.open({ checkpoint: { ...checkpoint, config }, threads: 1 });
      const [near, at] = await generator.generate([PROMPTS[0]!, PROMPTS[3]!], { maxTokens: 20 });
      assert.equal(near!.tokens.length, 3);
      assert.deepEqual(at, { tokens: [], finishReason: 'length' });
    });

    it('tells each token as it comes, and stops when asked to', async () => {
      await using generator = await open(false);
      const told: number[][] = PROMPTS.map(() => []);
      const stop = new AbortController();
      const onToken = (prompt: number, token: number): void => {
        if (told[prompt]!.push(token) === 6) stop.abort();
      };
      const whole = await generator.generate(PROMPTS, { maxTokens: 8 });
      await assert.rejects(generator.generate(PROMPTS, { maxTokens: 8, signal: stop.signal, onToken }), {
        name: 'AbortError',
      });
      assert.deepEqual(
        told,
        whole.map(({ tokens }) => tokens.slice(0, 6)),
      );
    });
  });
}

describe('greedy generation with the key-value cache gives the tokens of an independent implementation without one', () => {
  // The other two are tested above against the policy.
  for (const name of ORACLE_CASES.filter((each) => each !== 'llama' && each !== 'qwen2')) {
    it(name, async () => {
      const folder = oracleFolder(name);
      const expected = JSON.parse(await readFile(join(folder, 'expected.json'), 'utf8')) as OracleCase;
      const greedy = expected.greedy!;
      const opened = await openCheckpoint(join(folder, 'model'));
      // The end token is one like any other here.
      const checkpoint = { ...opened, config: { ...opened.config, eosTokenIds: [] } };
      const pairs = await readPairs(join(folder, 'pairs.jsonl'));
      const prompts = pairs.map(({ prompt, chosen }) => [...Buffer.from(prompt + chosen)]);
      const layout = await readPeftAdapter(join(folder, 'adapter'), checkpoint.config);
      const adapter = { vector: layout.vector, layout, scale: layout.alpha / layout.rank };
      for (const kind of ['base', 'adapted'] as const) {
        const options = { checkpoint, threads: 1, ...(kind === 'adapted' && { adapter }) };
        await using generator = await Generator.open(options);
        const answers = await generator.generate(prompts, { maxTokens: greedy[0]![kind].length });
        assert.deepEqual(
          answers.map(({ tokens }) => tokens),
          greedy.map((each) => each[kind]),
          kind,
        );
      }
    });
  }
});
