import assert from 'node:assert/strict';
import { armsOf, plainMeanOf, type ArmResult } from '../../../scripts/robustness/experiment.ts';
import { Memory } from '../../../scripts/robustness/memory.ts';
import { hashOfSources } from '../../../scripts/robustness/sources.ts';
import { rowsOf, showTables } from '../../../scripts/robustness/table.ts';
import { showVerdict, verdictOf } from '../../../scripts/robustness/verdict.ts';

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

  it('has a line for every attack', () => {
    assert.match(showTables(results), /\| `scaled` \| 3 \| 82\.0 % \| 3\.0 \| 4\.0 \|.*\| fails \|/);
    assert.match(showTables(results), /\| `mimic` \| 6 \|.*\| too weak \|/);
  });

  it('aims each attack at the mean that it is made for', () => {
    assert.equal(plainMeanOf('pair-counts'), 'weighted');
    assert.equal(plainMeanOf('gauge'), 'mean');
    assert.equal(plainMeanOf('sign-flip'), 'alternating');
  });
});

describe('the verdict', () => {
  const changed = (attack: string | null, combination: string, accuracy: number) =>
    results.map((result) =>
      result.attack === attack && result.combination === combination
        ? { ...result, figures: { ...result.figures, accuracy } }
        : result,
    );

  it('is passed where the default loses no more than it may, at the edge too, and the plain mean does', () => {
    const verdict = verdictOf(results);
    assert.deepEqual(
      { ...verdict, clean: Number(verdict.clean.toFixed(6)) },
      { passed: true, defaultFails: [], meanFails: ['scaled'], tooWeak: ['mimic'], clean: 1 },
    );
    const shown = showVerdict(verdict);
    assert.match(shown, /The default passes.*\n.*The plain mean fails\*\* the same test, under `scaled`\./);
    assert.match(shown, /costs 1\.0 points against the plain mean `alternating`; it may cost 1/);
    assert.match(shown, /Too weak.*: `mimic`\./);
  });

  it('is not passed where the default loses more, where it costs more without an attack, or where the mean survives all', () => {
    const lost = verdictOf(changed('mimic', 'robust', 0.5));
    assert.deepEqual([lost.passed, lost.defaultFails], [false, ['mimic']]);
    assert.match(showVerdict(lost), /The default fails.*`mimic`/);
    assert.equal(verdictOf(changed(null, 'alternating', 0.95)).passed, false);
    const survived = verdictOf(changed('scaled', 'alternating', 0.9));
    assert.deepEqual([survived.passed, survived.tooWeak], [false, ['scaled', 'mimic']]);
    assert.match(showVerdict(survived), /The plain mean passes, so that the test shows nothing/);
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

describe('the code that results follow from', () => {
  it('has a hash of its own, which other files change', () => {
    const hash = hashOfSources(['scripts/robustness/setting.ts']);
    assert.match(hash, /^[0-9a-f]{64}$/);
    assert.equal(hashOfSources(['scripts/robustness/setting.ts']), hash);
    assert.notEqual(hashOfSources(['scripts/robustness/table.ts']), hash);
    assert.notEqual(hashOfSources(['scripts/robustness']), hash);
  });
});
