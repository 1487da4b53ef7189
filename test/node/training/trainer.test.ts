import assert from 'node:assert/strict';
import { openCheckpoint } from '../../../node/model/checkpoint.ts';
import { factorRanges, initialAdapter } from '../../../node/training/adapter.ts';
import { Policy, type TokenizedPair } from '../../../node/training/policy.ts';
import { RandomStream } from '../../../node/training/randomStream.ts';
import { trainAdapter, type TrainingState, type TrainingTerms } from '../../../node/training/trainer.ts';

/** Pairs of random tokens, of many lengths. */
const pairs: TokenizedPair[] = Array.from({ length: 10 }, (_, i) => {
  const random = new RandomStream('pairs', i);
  const tokens = (count: number) => Array.from({ length: count }, () => Math.floor(random.uniform() * 256));
  return {
    id: String(i),
    prompt: tokens(3 + i),
    chosen: tokens(2 + ((i * 5) % 7)),
    rejected: tokens(4 + ((i * 3) % 5)),
  };
});

const terms: TrainingTerms = {
  loss: 'sigmoid',
  beta: 0.1,
  learningRate: 1e-2,
  schedule: 'cosine',
  warmup: 0.2,
  maxGradNorm: 1,
  weightDecay: 0.01,
  batchSize: 4,
  accumulate: 1,
  epochs: 2,
  shuffle: true,
  seed: 5,
  factor: 'both',
};

const copyOf = (state: TrainingState): TrainingState => ({
  ...state,
  adapter: state.adapter.slice(),
  optimizer: {
    ...state.optimizer,
    firstMoment: state.optimizer.firstMoment.slice(),
    secondMoment: state.optimizer.secondMoment.slice(),
  },
});

describe('trainer', () => {
  const layout = { rank: 2, targets: ['q_proj', 'v_proj', 'down_proj'] as const };
  let policy: Policy;
  let start: ReturnType<typeof initialAdapter>;
  before(async () => {
    const checkpoint = await openCheckpoint('test/oracle/llama/model');
    start = initialAdapter(checkpoint.config, layout, 4, 0);
    policy = await Policy.open({ checkpoint, layout, scale: 2, threads: 1 });
  });
  after(() => policy[Symbol.asyncDispose]());

  const run = (changes: Partial<TrainingTerms> = {}, options: Partial<Parameters<typeof trainAdapter>[2]> = {}) =>
    trainAdapter(policy, pairs, {
      adapter: start.vector,
      table: start.table,
      terms: { ...terms, ...changes },
      ...options,
    });

  it('starts at ln 2, with no reward and no win, when the adapter changes nothing', async () => {
    const [first] = (await run({ steps: 1 })).steps;
    assert.equal(first!.loss, Math.LN2);
    assert.equal(first!['rewards/chosen'], 0);
    assert.equal(first!['rewards/margins'], 0);
    assert.equal(first!['rewards/accuracies'], 0);
    assert.ok(first!.grad_norm > 0);
  });

  it('lowers the loss and widens the margin of what it sees', async () => {
    const { steps } = await run({ epochs: 10, schedule: 'constant', batchSize: 10, weightDecay: 0 });
    assert.ok(steps.at(-1)!.loss < 0.5, `loss ${steps.at(-1)!.loss}`);
    assert.equal(steps.at(-1)!['rewards/accuracies'], 1);
    assert.ok(steps.at(-1)!['rewards/margins'] > 0.4);
  });

  it('repeats bit for bit, and follows its seed', async () => {
    const first = await run();
    const second = await run();
    assert.deepEqual(second.adapter, first.adapter);
    const untimed = ({ steps }: typeof first) => steps.map((step) => ({ ...step, step_time: 0, tokens_per_second: 0 }));
    assert.deepEqual(untimed(second), untimed(first));
    assert.notDeepEqual((await run({ seed: 6 })).adapter, first.adapter);
  });

  it('does not change the adapter it was given', async () => {
    const before = start.vector.slice();
    await run({ steps: 2 });
    assert.deepEqual(start.vector, before);
  });

  it('goes on from a saved state to the very adapter of an unbroken run', async () => {
    const states: TrainingState[] = [];
    const whole = await run({}, { onStep: (_, state) => void states.push(copyOf(state)) });
    assert.equal(states.length, 6);
    for (const at of [1, 4]) {
      const rest = await run({}, { resume: states[at - 1] });
      assert.deepEqual(rest.adapter, whole.adapter);
      assert.deepEqual(
        rest.steps.map(({ step, loss, num_tokens }) => ({ step, loss, num_tokens })),
        whole.steps.slice(at).map(({ step, loss, num_tokens }) => ({ step, loss, num_tokens })),
      );
    }
  });

  for (const factor of ['A', 'B'] as const) {
    it(`trains ${factor} alone, the other staying bit for bit, decay included`, async () => {
      const warm = await run({ steps: 2 });
      const { adapter, steps } = await run({ factor, steps: 3, weightDecay: 0.5 }, { adapter: warm.adapter });
      for (const frozen of factorRanges(start.table, factor === 'A' ? 'B' : 'A')) {
        assert.deepEqual(adapter.subarray(frozen.start, frozen.end), warm.adapter.subarray(frozen.start, frozen.end));
      }
      for (const { start: from, end } of factorRanges(start.table, factor)) {
        assert.notDeepEqual(adapter.subarray(from, end), warm.adapter.subarray(from, end));
      }
      const both = await run({ factor: 'both', steps: 1 }, { adapter: warm.adapter });
      assert.ok(steps[0]!.grad_norm < both.steps[0]!.grad_norm, 'the norm is of the trained factor alone');
    });
  }

  it('makes the norm of both factors from those of each', async () => {
    const warm = (await run({ steps: 2 })).adapter;
    const norm = async (factor: 'A' | 'B' | 'both') =>
      (await run({ factor, steps: 1 }, { adapter: warm })).steps[0]!.grad_norm;
    const [a, b, both] = [await norm('A'), await norm('B'), await norm('both')];
    assert.ok(Math.abs(Math.hypot(a, b) / both - 1) < 1e-12);
  });

  it('takes the mean over the pairs of a step, however they are split', async () => {
    const wide = await run({ batchSize: 10, accumulate: 1, shuffle: false, steps: 1 });
    const split = await run({ batchSize: 3, accumulate: 4, shuffle: false, steps: 1 });
    assert.ok(Math.abs(split.steps[0]!.loss - wide.steps[0]!.loss) < 1e-9);
    assert.ok(Math.abs(split.steps[0]!.grad_norm / wide.steps[0]!.grad_norm - 1) < 1e-5);
    assert.equal(split.steps[0]!.num_tokens, wide.steps[0]!.num_tokens);
  });

  it('divides the last step of an epoch by the pairs it has', async () => {
    const warm = (await run({ steps: 2 })).adapter;
    const still = { ...terms, learningRate: 1e-30, weightDecay: 0, shuffle: false, batchSize: 3, accumulate: 2 };
    const options = { adapter: warm, table: start.table };
    const { steps } = await trainAdapter(policy, pairs, { ...options, terms: { ...still, epochs: 1 } });
    const [alone] = (await trainAdapter(policy, pairs.slice(6), { ...options, terms: { ...still, epochs: 1 } })).steps;
    assert.equal(steps.length, 2);
    for (const name of ['loss', 'grad_norm', 'rewards/margins', 'logps/rejected'] as const) {
      assert.ok(Math.abs(steps[1]![name] / alone![name] - 1) < 1e-6, `${name}: ${steps[1]![name]}, ${alone![name]}`);
    }
  });

  it('counts the tokens seen, prompts once for each completion', async () => {
    const { steps } = await run({ epochs: 2 });
    const once = pairs.reduce(
      (sum, { prompt, chosen, rejected }) => sum + 2 * prompt.length + chosen.length + rejected.length,
      0,
    );
    assert.equal(steps[2]!.num_tokens, once);
    assert.equal(steps.at(-1)!.num_tokens, 2 * once);
    assert.deepEqual(
      steps.map(({ epoch }) => epoch),
      [1, 2, 3, 4, 5, 6].map((step) => step / 3),
    );
    const { tokens_per_second: rate, step_time: seconds, num_tokens: tokens } = steps[0]!;
    assert.ok(Math.abs((rate * seconds) / tokens - 1) < 1e-12);
  });

  it('says which share of what ran was padding, step by step', async () => {
    const before = policy.trainedTokens;
    const { steps } = await run({ epochs: 1, shuffle: false });
    const after = policy.trainedTokens;
    const shares = steps.map(({ padding }) => padding);
    assert.ok(shares.every((share) => share >= 0 && share < 1) && new Set(shares).size > 1, shares.join());
    const whole = 1 - (after.real - before.real) / (after.run - before.run);
    assert.ok(Math.min(...shares) <= whole && whole <= Math.max(...shares));
  });

  it('holds to the reference it is given', async () => {
    const zero = { chosen: new Float64Array(10), rejected: new Float64Array(10) };
    const [first] = (await run({ steps: 1 }, { reference: zero })).steps;
    assert.ok(Math.abs(first!['rewards/chosen'] / (0.1 * first!['logps/chosen']) - 1) < 1e-12);
  });

  it('reports rewards of whole answers, whatever the loss divides by', async () => {
    const warm = (await run({ steps: 2 })).adapter;
    const first = async (loss: 'sigmoid' | 'sigmoid_norm' | 'ipo') =>
      (await run({ loss, steps: 1, shuffle: false }, { adapter: warm })).steps[0]!;
    const [sums, means, squares] = [await first('sigmoid'), await first('sigmoid_norm'), await first('ipo')];
    assert.notEqual(means.loss, sums.loss);
    for (const name of ['rewards/chosen', 'rewards/rejected', 'rewards/margins', 'rewards/accuracies'] as const)
      assert.deepEqual([means[name], squares[name]], [sums[name], sums[name]], name);
  });

  it('moves the rate once a step, however many batches make one', async () => {
    const ratesOf = async (batchSize: number, accumulate: number) =>
      (await run({ batchSize, accumulate, epochs: 2 })).steps.map((step) => step.learning_rate);
    // Ten pairs, four a step: three steps an epoch. Warm-up over ⌈0.2 · 6⌉ = 2, then half a cosine over 4.
    const shares = [1 / 3, 2 / 3, 1, 0.8535533906, 0.5, 0.1464466094];
    for (const [batchSize, accumulate] of [
      [4, 1],
      [2, 2],
      [1, 4],
    ] as const) {
      const rates = await ratesOf(batchSize, accumulate);
      assert.deepEqual(
        rates.map((rate) => rate.toFixed(10)),
        shares.map((share) => (share * terms.learningRate).toFixed(10)),
        `${accumulate} batches of ${batchSize}`,
      );
    }
  });

  it('ends when told to, and when it must', async () => {
    const stopped = await run({}, { onStep: ({ step }) => (step === 2 ? 'stop' : undefined) });
    assert.equal(stopped.steps.length, 2);
    const controller = new AbortController();
    const cut = run({}, { signal: controller.signal, onStep: () => controller.abort() });
    await assert.rejects(cut, { name: 'AbortError' });
  });

  it('stops with the step when the numbers overflow', async () => {
    const poisoned = start.vector.slice();
    poisoned[0] = Infinity;
    await assert.rejects(run({}, { adapter: poisoned }), { code: 'TRAINING_DIVERGED', details: { step: 1 } });
  });
});
