import assert from 'node:assert/strict';
import fc from 'fast-check';
import { roundedExtent } from '../../../node/engine/compiledGraphs.ts';
import { planMicroBatches, tokensRun } from '../../../node/training/microBatches.ts';
import { isPacked, layOutPairs, rowExtents, tokensInRows } from '../../../node/training/preferenceRows.ts';
import { RandomStream } from '../../../node/training/randomStream.ts';
import type { TokenizedPair } from '../../../node/training/policy.ts';

const tokens = fc.array(fc.integer({ min: 1, max: 99 }), { minLength: 1, maxLength: 70 });
const pairs = fc.array(fc.record({ id: fc.constant(''), prompt: tokens, chosen: tokens, rejected: tokens }), {
  minLength: 1,
  maxLength: 20,
});
const rowLayout = fc.constantFrom('shared' as const, 'apart' as const);

/** Lengths as sets of preference pairs have them: skewed, and the two answers to a prompt of like length. */
function realisticPairs(count: number, seed: number): TokenizedPair[] {
  const random = new RandomStream('lengths', seed);
  const normal = () => Math.sqrt(-2 * Math.log(1 - random.uniform())) * Math.cos(2 * Math.PI * random.uniform());
  const length = (median: number, spread: number) =>
    Math.max(4, Math.min(700, Math.round(median * Math.exp(spread * normal()))));
  const of = (extent: number) => Array.from({ length: extent }, () => 1);
  return Array.from({ length: count }, (_, i) => {
    const answer = length(180, 0.7);
    const [chosen, rejected] = [length(answer, 0.4), length(answer, 0.4)];
    return { id: String(i), prompt: of(length(90, 0.9)), chosen: of(chosen), rejected: of(rejected) };
  });
}

describe('micro-batches', () => {
  it('hold every pair once, within the token budget, in parts that are long enough', () => {
    fc.assert(
      fc.property(pairs, rowLayout, fc.integer({ min: 300, max: 4000 }), (all, layout, budget) => {
        const plan = planMicroBatches(all, () => layout, budget);
        assert.deepEqual(
          plan.flatMap(({ members }) => members).sort((a, b) => a - b),
          [...all.keys()],
        );
        for (const { shape, members } of plan) {
          const [rows, time] = rowExtents(shape);
          assert.ok(shape.tokens <= Math.min(budget, rows * time) || shape.pairs === 1);
          assert.ok(rows * time <= 2 * budget || shape.pairs === 1);
          assert.equal(members.length, shape.pairs);
          let [tokensHeld, scoredHeld] = [0, 0];
          for (const member of members) {
            const { prompt, chosen, rejected } = all[member]!;
            assert.ok(prompt.length <= shape.prompt);
            assert.ok(Math.max(chosen.length, rejected.length) <= shape.completion);
            scoredHeld += chosen.length + rejected.length;
            tokensHeld += chosen.length + rejected.length + (layout === 'shared' ? 1 : 2) * prompt.length;
          }
          assert.ok(scoredHeld <= shape.scored);
          assert.ok(isPacked(shape) ? tokensHeld < shape.tokens : tokensHeld <= shape.tokens);
        }
      }),
      { seed: 3 },
    );
  });

  it('waste at most a tenth of the tokens on padding, in the batches of training', () => {
    const batchSizes = fc.constantFrom(4, 8, 16, 32);
    fc.assert(
      fc.property(fc.nat(), batchSizes, rowLayout, fc.constantFrom(1024, 1536, 4096), (seed, size, layout, budget) => {
        const all = realisticPairs(size, seed);
        const { real, run } = tokensRun(
          planMicroBatches(all, () => layout, budget),
          all,
        );
        assert.ok(run - real <= 0.1 * run, `${real} of ${run}`);
      }),
      { seed: 5, numRuns: 300 },
    );
  });

  it('are the same for the same lengths, whatever the tokens are', () => {
    const other = realisticPairs(16, 1).map((pair) => ({ ...pair, chosen: pair.chosen.map(() => 7) }));
    const plan = (all: TokenizedPair[]) => planMicroBatches(all, () => 'shared', 1536);
    assert.deepEqual(plan(other), plan(realisticPairs(16, 1)));
  });

  it('are none for no pairs', () => {
    assert.deepEqual(
      planMicroBatches([], () => 'shared', 1000),
      [],
    );
  });

  it('round extents of rows up by at most a quarter, to four steps per octave', () => {
    const steps = [1, 16, 17, 33, 65, 81, 97].map(roundedExtent);
    assert.deepEqual(steps, [16, 16, 20, 40, 80, 96, 112]);
    for (let count = 16; count < 3000; count++) {
      const extent = roundedExtent(count);
      assert.ok(extent >= count && extent <= 1.25 * count + 1, `${count}: ${extent}`);
    }
  });
});

describe('the rows of pairs', () => {
  it('predict each completion token from the token before it, at its place in the sequence', () => {
    fc.assert(
      fc.property(pairs, rowLayout, fc.boolean(), (all, layout, packed) => {
        const extents = { layout, pairs: all.length + 1, prompt: 70, completion: 72 };
        const [rowCount, time] = rowExtents(extents);
        const real = all.reduce((sum, pair) => sum + tokensInRows(pair, layout), 0);
        const scored = all.reduce((sum, { chosen, rejected }) => sum + chosen.length + rejected.length, 0);
        const shape = { ...extents, tokens: packed ? real + 1 : rowCount * time, scored: scored + 3 };
        const rows = layOutPairs(all, shape);
        let next = 0;
        for (const side of ['chosen', 'rejected'] as const) {
          for (const [index, pair] of all.entries()) {
            const sequence = [...pair.prompt, ...pair[side]];
            const member = (side === 'chosen' ? 0 : shape.pairs) + index;
            for (const [i, token] of pair[side].entries()) {
              const at = rows.scored[next]!;
              assert.equal(rows.targets[next], token);
              assert.equal(rows.membership[member * shape.scored + next], 1);
              assert.equal(rows.positions[at], pair.prompt.length + i - 1);
              assert.equal(rows.tokens[at], sequence[pair.prompt.length + i - 1]);
              next++;
            }
          }
        }
        assert.equal(
          rows.membership.reduce((total, each) => total + each, 0),
          scored,
        );
      }),
      { seed: 4 },
    );
  });

  it('hold each token at the place that points back at it, and padding at padding', () => {
    fc.assert(
      fc.property(pairs, rowLayout, (all, layout) => {
        const extents = { layout, pairs: all.length, prompt: 70, completion: 72 };
        const real = all.reduce((sum, pair) => sum + tokensInRows(pair, layout), 0);
        const rows = layOutPairs(all, { ...extents, tokens: real + 5, scored: 140 * all.length });
        for (let at = 0; at < real; at++) assert.equal(rows.slots[rows.places[at]!], at);
        for (let at = real; at < real + 5; at++) assert.ok(rows.slots[rows.places[at]!]! >= real);
        const held = rows.slots.filter((at) => at < real);
        assert.equal(held.length, real);
      }),
      { seed: 6 },
    );
  });
});
