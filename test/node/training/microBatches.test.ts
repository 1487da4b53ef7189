import assert from 'node:assert/strict';
import fc from 'fast-check';
import { roundedExtent } from '../../../node/engine/compiledGraphs.ts';
import { planMicroBatches } from '../../../node/training/microBatches.ts';
import { layOutPairs, rowExtents } from '../../../node/training/preferenceRows.ts';
import type { TokenizedPair } from '../../../node/training/policy.ts';

const tokens = fc.array(fc.integer({ min: 1, max: 99 }), { minLength: 1, maxLength: 70 });
const pairs = fc.array(fc.record({ id: fc.constant(''), prompt: tokens, chosen: tokens, rejected: tokens }), {
  minLength: 1,
  maxLength: 20,
});
const rowLayout = fc.constantFrom('shared' as const, 'apart' as const);

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
          assert.ok(rows * time <= budget || shape.pairs === 1);
          assert.ok(members.length <= shape.pairs);
          for (const member of members) {
            const { prompt, chosen, rejected } = all[member]!;
            assert.ok(prompt.length <= shape.prompt);
            assert.ok(Math.max(chosen.length, rejected.length) <= shape.completion);
          }
        }
        assert.equal(new Set(plan.map(({ shape }) => shape.pairs)).size, 1, 'one number of pairs, so few graphs');
      }),
      { seed: 3 },
    );
  });

  it('are none for no pairs', () => {
    assert.deepEqual(
      planMicroBatches([], () => 'shared', 1000),
      [],
    );
  });

  it('round extents up by at most a quarter, to four steps per octave', () => {
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
      fc.property(pairs, rowLayout, (all, layout) => {
        const shape = { layout, pairs: all.length + 1, prompt: 70, completion: 72 };
        const rows = layOutPairs(all, shape);
        for (const [index, pair] of all.entries()) {
          for (const side of [0, 1] as const) checkSide(rows, shape.completion, shape.pairs, pair, index, side);
        }
        const scored = all.reduce((total, { chosen, rejected }) => total + chosen.length + rejected.length, 0);
        assert.equal(
          rows.mask.reduce((total, each) => total + each, 0),
          scored,
        );
      }),
      { seed: 4 },
    );
  });
});

function checkSide(
  rows: ReturnType<typeof layOutPairs>,
  completion: number,
  pairCount: number,
  pair: TokenizedPair,
  index: number,
  side: 0 | 1,
): void {
  const answer = side === 0 ? pair.chosen : pair.rejected;
  const sequence = [...pair.prompt, ...answer];
  for (const [i, token] of answer.entries()) {
    const slot = (side * pairCount + index) * completion + i;
    const at = rows.scored[slot]!;
    assert.equal(rows.targets[slot], token);
    assert.equal(rows.mask[slot], 1);
    assert.equal(rows.positions[at], pair.prompt.length + i - 1);
    assert.equal(rows.tokens[at], sequence[pair.prompt.length + i - 1]);
  }
}
