import assert from 'node:assert/strict';
import { learningRateAt, type ScheduleName } from '../../../node/training/schedule.ts';

function rates(schedule: ScheduleName, totalSteps: number, warmup: number): number[] {
  return Array.from({ length: totalSteps }, (_, step) =>
    learningRateAt(step, { schedule, learningRate: 2, warmup, totalSteps }),
  );
}

const near = (actual: number[], expected: number[]) => {
  assert.deepEqual(
    actual.map((rate) => rate.toFixed(9)),
    expected.map((rate) => rate.toFixed(9)),
  );
};

describe('learning-rate schedule', () => {
  const warm = [2 / 3, 4 / 3];

  it('warms up and stays for constant', () => {
    near(rates('constant', 10, 0.2), [...warm, 2, 2, 2, 2, 2, 2, 2, 2]);
  });

  it('falls along a line for linear', () => {
    near(rates('linear', 10, 0.2), [...warm, 2, 1.75, 1.5, 1.25, 1, 0.75, 0.5, 0.25]);
  });

  it('falls along half a cosine for cosine', () => {
    const falling = [1, 0.9619397663, 0.8535533906, 0.6913417162, 0.5, 0.3086582838, 0.1464466094, 0.0380602337];
    near(rates('cosine', 10, 0.2), [...warm, ...falling.map((share) => 2 * share)]);
  });

  it('starts at the full rate without warm-up, and spends no step at zero with it', () => {
    assert.equal(rates('cosine', 5, 0)[0], 2);
    assert.equal(rates('linear', 1, 0)[0], 2);
    for (const steps of [1, 2, 3, 10]) assert.ok(rates('cosine', steps, 0.1).every((rate) => rate > 0));
  });

  it('rounds the warm-up up to whole steps, but not by a rounding error', () => {
    const before = (steps: number, share: number) => rates('constant', steps, share).filter((rate) => rate < 2).length;
    assert.equal(before(30, 0.1), 3);
    assert.equal(before(31, 0.1), 4);
    assert.equal(before(30, 0), 0);
  });
});
