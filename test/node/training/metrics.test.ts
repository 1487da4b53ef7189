import assert from 'node:assert/strict';
import { rewardMetrics } from '../../../node/training/metrics.ts';

const policy = { chosen: Float64Array.of(-3, -2.5, -4, -1.5), rejected: Float64Array.of(-5, -3.5, -6, -2.5) };
const reference = {
  chosen: Float64Array.of(-2.8, -2.3, -3.8, -1.4),
  rejected: Float64Array.of(-3.2, -2.7, -4.2, -1.8),
};

const near = (actual: number, expected: number, tolerance = 1e-12) =>
  assert.ok(Math.abs(actual - expected) <= tolerance, `${actual} is not ${expected}`);

describe('training metrics', () => {
  it('are means of rewards and of summed log-probabilities', () => {
    const metrics = rewardMetrics(policy, reference, 0.1);
    near(metrics['rewards/chosen'], (0.1 * (-0.2 - 0.2 - 0.2 - 0.1)) / 4);
    near(metrics['rewards/rejected'], (0.1 * (-1.8 - 0.8 - 1.8 - 0.7)) / 4);
    near(metrics['rewards/margins'], (0.1 * (1.6 + 0.6 + 1.6 + 0.6)) / 4);
    near(metrics['logps/chosen'], -2.75);
    near(metrics['logps/rejected'], -4.25);
    assert.equal(metrics['rewards/accuracies'], 1);
  });

  it('count a tie as no win', () => {
    assert.equal(rewardMetrics(reference, reference, 0.1)['rewards/accuracies'], 0);
    assert.equal(rewardMetrics(reference, reference, 0.1)['rewards/ties'], 1);
    const half = { ...reference, chosen: reference.chosen.map((value, i) => value + (i < 2 ? 1 : 0)) };
    assert.equal(rewardMetrics(half, reference, 0.1)['rewards/accuracies'], 0.5);
    assert.equal(rewardMetrics(half, reference, 0.1)['rewards/ties'], 0.5);
  });
});
