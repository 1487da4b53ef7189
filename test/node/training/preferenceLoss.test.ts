import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { gradients } from '../../../node/engine/derivative.ts';
import { input } from '../../../node/engine/graph.ts';
import { evaluate } from '../../../node/engine/reference.ts';
import { openCheckpoint } from '../../../node/model/checkpoint.ts';
import { Tokenizer } from '../../../node/model/tokenizer.ts';
import { readPairs } from '../../../node/preferences/pairs.ts';
import { readPeftAdapter } from '../../../node/training/peft.ts';
import { Policy, type TokenizedPair } from '../../../node/training/policy.ts';
import {
  batchLoss,
  LOSS_NAMES,
  LOSSES,
  pairLoss,
  type LossName,
  type LossTerms,
} from '../../../node/training/preferenceLoss.ts';
import { preferenceObjective } from '../../../node/training/preferenceObjective.ts';
import { tokenizePairs } from '../../../node/training/tokenization.ts';
import { trainAdapter } from '../../../node/training/trainer.ts';

/** What `scripts/losses-golden.py` writes. */
interface Golden {
  readonly values: {
    readonly given: Record<
      'chosen' | 'rejected' | 'refChosen' | 'refRejected' | 'chosenTokens' | 'rejectedTokens',
      readonly number[]
    >;
    readonly cases: readonly (LossTerms & {
      readonly losses: readonly number[];
      readonly objective: number;
      readonly sft: number;
      readonly byChosen: readonly number[];
      readonly byRejected: readonly number[];
    })[];
  };
  readonly throughTheOracleModel: readonly (LossTerms & {
    readonly objective: number;
    readonly sft: number;
    readonly gradNorm: number;
    readonly gradients: Readonly<Record<string, { readonly norm: number; readonly head: readonly number[] }>>;
  })[];
}

const golden = JSON.parse(await readFile('test/node/training/golden/losses.json', 'utf8')) as Golden;
const { given, cases } = golden.values;

const near = (actual: number, expected: number, tolerance: number, what = '') =>
  assert.ok(Math.abs(actual - expected) <= tolerance, `${what} ${actual} is not ${expected}`);

const nameOf = ({ loss, beta, labelSmoothing, sftWeight }: LossTerms) =>
  [loss, `beta ${beta}`, labelSmoothing && `smoothing ${labelSmoothing}`, sftWeight && `SFT weight ${sftWeight}`]
    .filter(Boolean)
    .join(', ');

/** The loss of a pair whose answers have a token each, by its log-ratios. */
const lossOf = (loss: LossName, chosen: number, rejected: number, beta = 0.1, labelSmoothing = 0) =>
  pairLoss({ loss, beta, labelSmoothing }, { chosen, rejected }, { chosen: 1, rejected: 1 });

describe('preference losses', () => {
  for (const expected of cases) {
    const pairs = given.chosenTokens.map((tokens, i) => ({
      chosen: { length: tokens },
      rejected: { length: given.rejectedTokens[i]! },
    }));

    it(`are those of an independent implementation: ${nameOf(expected)}`, () => {
      for (const [i, value] of expected.losses.entries()) {
        const ratios = {
          chosen: given.chosen[i]! - given.refChosen[i]!,
          rejected: given.rejected[i]! - given.refRejected[i]!,
        };
        const tokens = { chosen: given.chosenTokens[i]!, rejected: given.rejectedTokens[i]! };
        near(pairLoss(expected, ratios, tokens), value, 1e-12, `pair ${i}`);
      }
      const reference = { chosen: given.refChosen, rejected: given.refRejected };
      const { loss, chosenLoss } = batchLoss(expected, pairs, given, reference);
      near(loss, expected.objective, 1e-12);
      near(chosenLoss, expected.sft, 1e-12);
    });

    it(`have the same value and its slopes in the graph: ${nameOf(expected)}`, () => {
      const shape = [pairs.length];
      const sums = { chosen: input('chosen', shape), rejected: input('rejected', shape) };
      const objective = preferenceObjective(expected.loss, sums);
      const tokens = given.chosenTokens.reduce((sum, count) => sum + count, 0);
      const [value, byChosen, byRejected] = evaluate(
        [objective, ...gradients(objective, [sums.chosen, sums.rejected])],
        {
          chosen: given.chosen,
          rejected: given.rejected,
          referenceChosen: given.refChosen,
          referenceRejected: given.refRejected,
          chosenShare: given.chosenTokens.map((count) => 1 / count),
          rejectedShare: given.rejectedTokens.map((count) => 1 / count),
          weights: pairs.map(() => 1 / pairs.length),
          sftWeights: pairs.map(() => (expected.sftWeight ?? 0) / tokens),
          beta: [expected.beta],
          labelSmoothing: [expected.labelSmoothing ?? 0],
        },
      );
      near(value!.data[0]!, expected.objective, 1e-6); // constants of the graph are float32
      for (const i of pairs.keys()) {
        near(byChosen!.data[i]!, expected.byChosen[i]!, 1e-6, `by chosen ${i}`);
        near(byRejected!.data[i]!, expected.byRejected[i]!, 1e-6, `by rejected ${i}`);
      }
    });
  }

  it('have the values that the test suites of public trainers expect', () => {
    const [chosen, rejected] = [-0.2, -1.8]; // margin 1.6; the second pair: -0.2, -0.8, margin 0.6
    near(lossOf('sigmoid', chosen, rejected), 0.6163438, 1e-7);
    near(lossOf('sigmoid', -0.2, -0.8), 0.6635971, 1e-7);
    near(lossOf('sigmoid', chosen, rejected, 0.5), 0.3711007, 1e-7);
    near(lossOf('sigmoid', -0.2, -0.8, 0.5), 0.5543552, 1e-7);
    near(lossOf('cdpo', chosen, rejected, 0.1, 0.1), 0.6323438, 1e-7);
    near(lossOf('cdpo', -0.2, -0.8, 0.1, 0.1), 0.6695971, 1e-7);
    near(lossOf('robust', chosen, rejected, 0.1, 0.1), 0.5963438, 1e-7);
    near(lossOf('robust', -0.2, -0.8, 0.1, 0.1), 0.6560971, 1e-7);
    near(lossOf('hinge', chosen, rejected), 0.84, 1e-12);
    near(lossOf('apo_zero', chosen, rejected), 0.9601209, 1e-7);
    near(lossOf('apo_zero', -0.1, -0.7), 0.9850071, 1e-7);
  });

  it('begin at ln 2, or what the formula says, when policy and reference agree', () => {
    assert.equal(lossOf('sigmoid', 0, 0), Math.LN2);
    assert.equal(lossOf('sigmoid_norm', 0, 0, 5), Math.LN2);
    near(lossOf('cdpo', 0, 0, 0.1, 0.3), Math.LN2, 1e-15);
    near(lossOf('robust', 0, 0, 0.1, 0.3), Math.LN2, 1e-15);
    assert.equal(lossOf('hinge', 0, 0), 1);
    assert.equal(lossOf('apo_zero', 0, 0), 1);
    assert.equal(lossOf('ipo', 0, 0, 0.25), 4); // (1 / 2β)²
  });

  it('take label smoothing in two senses: cDPO blends the labels, robust undoes the noise', () => {
    const [epsilon, chosen, rejected] = [0.2, 3, -7];
    const right = lossOf('sigmoid', chosen, rejected);
    const wrong = lossOf('sigmoid', rejected, chosen);
    near(lossOf('cdpo', chosen, rejected, 0.1, epsilon), (1 - epsilon) * right + epsilon * wrong, 1e-15);
    // Its mean over labels that are flipped with probability ε is the loss on the true label.
    const robust = [
      lossOf('robust', chosen, rejected, 0.1, epsilon),
      lossOf('robust', rejected, chosen, 0.1, epsilon),
    ] as const;
    near((1 - epsilon) * robust[0] + epsilon * robust[1], right, 1e-15);
    assert.ok(lossOf('robust', 40, -40, 0.1, epsilon) < 0, 'and may be negative');
  });

  it('pull the mean margin to 1/(2β) in IPO, from either side', () => {
    assert.equal(lossOf('ipo', 1, -1, 0.25), 0);
    assert.equal(lossOf('ipo', 3, 0, 0.25), 1);
    assert.equal(lossOf('ipo', 1, 0, 0.25), 1);
  });

  it('weigh answers by their length only where the formula takes means', () => {
    const ratios = { chosen: 6, rejected: -4 };
    for (const loss of LOSS_NAMES) {
      const terms = { loss, beta: 0.1, labelSmoothing: 0 };
      const short = pairLoss(terms, ratios, { chosen: 1, rejected: 1 });
      const long = pairLoss(terms, ratios, { chosen: 10, rejected: 2 });
      assert.equal(short !== long, LOSSES[loss].averaged, loss);
    }
    assert.equal(pairLoss({ loss: 'ipo', beta: 0.5 }, ratios, { chosen: 3, rejected: 4 }), (2 - -1 - 1) ** 2);
  });

  it('see the margin alone, so both answers may become less likely, except where the formula looks at each', () => {
    for (const loss of LOSS_NAMES) {
      const before = lossOf(loss, 2, -3, 0.1, 0.1);
      const bothFallen = lossOf(loss, 2 - 50, -3 - 50, 0.1, 0.1);
      if (loss === 'apo_zero') assert.ok(bothFallen > before + 0.1, loss);
      else near(bothFallen, before, 1e-12, loss);
    }
    const at = (fall: number, sftWeight?: number) => {
      const policy = { chosen: [2 - fall], rejected: [-3 - fall] };
      const pairs = [{ chosen: { length: 4 }, rejected: { length: 4 } }];
      return batchLoss({ loss: 'sigmoid', beta: 0.1, sftWeight }, pairs, policy, { chosen: [0], rejected: [0] }).loss;
    };
    near(at(50), at(0), 1e-12, 'without an SFT term');
    near(at(50, 0.2) - at(0, 0.2), (0.2 * 50) / 4, 1e-12, 'with one');
  });

  it('are finite however far apart the answers are', () => {
    assert.equal(lossOf('sigmoid', -1e6, 0), 1e5);
    assert.equal(lossOf('sigmoid', 1e6, 0), 0);
    for (const loss of LOSS_NAMES) assert.ok(Number.isFinite(lossOf(loss, -1e6, 1e6, 5, 0.1)), loss);
  });
});

describe('preference losses through a whole model, against PyTorch in float64', function () {
  this.timeout(60_000);
  let [pairs, policy]: [TokenizedPair[], Policy] = [[], undefined as unknown as Policy];
  let adapter: Awaited<ReturnType<typeof readPeftAdapter>>;
  before(async () => {
    const checkpoint = await openCheckpoint('test/oracle/llama/model');
    const tokenizer = await Tokenizer.open(checkpoint.folder);
    ({ pairs } = tokenizePairs(tokenizer, await readPairs('test/oracle/llama/pairs.jsonl'), { maxLength: 512 }));
    adapter = await readPeftAdapter('test/oracle/llama/adapter', checkpoint.config);
    policy = await Policy.open({ checkpoint, layout: adapter, scale: adapter.alpha / adapter.rank, threads: 1 });
  });
  after(() => policy[Symbol.asyncDispose]());

  for (const expected of golden.throughTheOracleModel) {
    it(`have its value and gradient: ${nameOf(expected)}`, async () => {
      const reference = await policy.logProbs(pairs, null);
      const { loss, gradient } = await policy.lossAndGradient(pairs, adapter.vector, reference, expected);
      near(loss, expected.objective, 1e-5 * expected.objective);
      near(Math.hypot(...gradient), expected.gradNorm, 1e-5 * expected.gradNorm, 'norm');
      for (const { name, offset, shape } of adapter.table) {
        const part = expected.gradients[name];
        if (part === undefined) continue;
        const values = gradient.subarray(offset, offset + shape[0] * shape[1]);
        near(Math.hypot(...values), part.norm, 1e-4 * part.norm, name);
        for (const [i, value] of part.head.entries()) near(values[i]!, value, 1e-4 * part.norm, `${name} at ${i}`);
      }
    });
  }

  it('are the same over micro-batches of any size, the SFT term over the tokens of the whole batch', async () => {
    const expected = golden.throughTheOracleModel.at(-1)!;
    for (const batchSize of [4, 3, 1]) {
      const { steps } = await trainAdapter(policy, pairs, {
        adapter: adapter.vector,
        table: adapter.table,
        terms: {
          ...expected,
          learningRate: 1e-3,
          schedule: 'constant',
          warmup: 0,
          maxGradNorm: 1,
          weightDecay: 0,
          batchSize,
          accumulate: Math.ceil(4 / batchSize),
          steps: 1,
          shuffle: false,
          seed: 0,
          factor: 'both',
        },
      });
      near(steps[0]!.loss, expected.objective, 1e-5 * expected.objective, `loss in batches of ${batchSize}`);
      near(steps[0]!.grad_norm, expected.gradNorm, 1e-5 * expected.gradNorm, `norm in batches of ${batchSize}`);
      near(steps[0]!.sft_loss!, expected.sft, 1e-5 * expected.sft, 'SFT term');
    }
  });
});
