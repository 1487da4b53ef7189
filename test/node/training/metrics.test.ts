import assert from 'node:assert/strict';
import { rewardMetrics, sigmoidLoss } from '../../../node/training/metrics.ts';

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
    const half = { ...reference, chosen: reference.chosen.map((value, i) => value + (i < 2 ? 1 : 0)) };
    assert.equal(rewardMetrics(half, reference, 0.1)['rewards/accuracies'], 0.5);
  });

  it('give the loss of published test values', () => {
    // The margins are 1.6 and 0.6 nats, twice each; per-pair losses at β 0.1 and 0.5 are published figures.
    near(sigmoidLoss(policy, reference, 0.1), (0.6163438 + 0.6635971) / 2, 1e-7);
    near(sigmoidLoss(policy, reference, 0.5), (0.3711007 + 0.5543552) / 2, 1e-7);
    assert.equal(sigmoidLoss(reference, reference, 0.1), Math.LN2);
  });

  it('give a finite loss however far apart the answers are', () => {
    const far = { chosen: Float64Array.of(-1e6), rejected: Float64Array.of(0) };
    const zero = { chosen: Float64Array.of(0), rejected: Float64Array.of(0) };
    assert.equal(sigmoidLoss(far, zero, 0.1), 1e5);
    assert.equal(sigmoidLoss({ chosen: far.rejected, rejected: far.chosen }, zero, 0.1), 0);
  });
});
