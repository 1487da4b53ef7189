import assert from 'node:assert/strict';
import { armsOf, plainMeanOf, type ArmResult } from '../../../scripts/robustness/experiment.ts';
import { Memory } from '../../../scripts/robustness/memory.ts';
import { rowsOf, showTables } from '../../../scripts/robustness/table.ts';

/** Two seeds: honest 90 and 80 %, and so on. */
const accuracies = {
  'honest robust': [0.9, 0.8],
  'honest alternating': [0.91, 0.81],
  'honest mean': [0.9, 0.8],
  'scaled robust': [0.88, 0.76],
  'scaled alternating': [0.1, 0.2],
  'mimic robust': [0.84, 0.75],
  'mimic alternating': [0.9, 0.8],
} as const;

const results: ArmResult[] = [0, 1].flatMap((seed) =>
  armsOf(['scaled', 'mimic']).map(({ attack, combination }) => {
    const accuracy = accuracies[`${attack ?? 'honest'} ${combination}` as keyof typeof accuracies][seed]!;
    return { attack, combination, seed, figures: { accuracy, margin: accuracy - 0.5, triggered: 1 - accuracy } };
  }),
);

describe('the table of attacks', () => {
  it('compares every attack with the honest run of the same seed, and judges it by its kind', () => {
    const verdicts = rowsOf(results).map(({ attack, underDefault, underMean, holds, meanFails }) => [
      attack,
      ...[underDefault.lost, underDefault.most, underMean.lost].map((points) => Number(points.toFixed(6))),
      holds,
      meanFails,
    ]);
    assert.deepEqual(verdicts, [
      ['scaled', 3, 4, 70, true, true],
      ['mimic', 5.5, 6, 0, true, false],
    ]);
    assert.ok(Math.abs(rowsOf(results)[0]!.underMean.margin + 1) < 1e-9);
  });

  it('says what the default costs where nobody attacks', () => {
    assert.match(showTables(results), /where nobody attacks: 1\.0 points \(may cost 1\)/);
    assert.match(showTables(results), /\| `scaled` \| 3 \| 82\.0 % \| 3\.0 \| 4\.0 \|/);
  });

  it('aims each attack at the mean that it is made for', () => {
    assert.equal(plainMeanOf('pair-counts'), 'weighted');
    assert.equal(plainMeanOf('gauge'), 'mean');
    assert.equal(plainMeanOf('sign-flip'), 'alternating');
  });
});

describe('what was computed before', () => {
  it('is made once for each key', async () => {
    const memory = new Memory();
    let made = 0;
    const make = () => Promise.resolve(Uint8Array.of(++made));
    const found = [];
    for (const key of [
      ['a', 1],
      ['a', 2],
      ['a', 1],
    ])
      found.push((await memory.recall(key, make))[0]);
    assert.deepEqual(found, [1, 2, 1]);
  });
});
