import assert from 'node:assert/strict';
import { AdamW, clipGradient, globalNorm } from '../../../node/training/optimizer.ts';

const near = (actual: Float32Array, expected: number[]) => {
  assert.equal(actual.length, expected.length);
  for (const [i, value] of expected.entries()) {
    assert.ok(
      Math.abs(actual[i]! - value) <= 2e-7 * Math.max(1, Math.abs(value)),
      `${i}: ${actual[i]} is not ${value}`,
    );
  }
};

describe('AdamW', () => {
  const gradients = [
    [0.1, -0.2, 3],
    [0.05, 0.4, -1],
    [-0.3, 1e-9, 0.5],
  ].map((values) => Float32Array.from(values));
  const rates = [0.01, 0.02, 0.005];

  it('takes the steps of the algorithm, with decoupled decay and bias correction', () => {
    const optimizer = new AdamW(3, { weightDecay: 0.1 });
    const parameters = Float32Array.of(1, -2, 0.5);
    // Computed in float64 by a separate program from the paper's algorithm.
    const expected = [
      [0.989000001, -1.988000001, 0.4895],
      [0.9683784106, -1.991346071, 0.4805166286],
      [0.9696303388, -1.991765393, 0.4782492433],
    ];
    for (const [step, gradient] of gradients.entries()) {
      optimizer.update(parameters, gradient, rates[step]!);
      near(parameters, expected[step]!);
    }
  });

  it('leaves what lies outside the trained ranges bit for bit alone, decay included', () => {
    const optimizer = new AdamW(3, { weightDecay: 0.1 });
    const parameters = Float32Array.of(1, -2, 0.5);
    optimizer.update(parameters, gradients[0]!, 0.01, [{ start: 1, end: 2 }]);
    near(parameters, [1, -1.988000001, 0.5]);
    assert.equal(parameters[0], 1);
    assert.equal(parameters[2], 0.5);
    assert.deepEqual([optimizer.state.firstMoment[0], optimizer.state.secondMoment[2]], [0, 0]);
  });

  it('goes on from a saved state as if it had not stopped', () => {
    const straight = { optimizer: new AdamW(3), parameters: Float32Array.of(1, -2, 0.5) };
    for (const [step, gradient] of gradients.entries()) {
      straight.optimizer.update(straight.parameters, gradient, rates[step]!);
    }
    const before = new AdamW(3);
    const parameters = Float32Array.of(1, -2, 0.5);
    before.update(parameters, gradients[0]!, rates[0]!);
    const after = new AdamW(3, {}, before.state);
    after.update(parameters, gradients[1]!, rates[1]!);
    after.update(parameters, gradients[2]!, rates[2]!);
    assert.deepEqual(parameters, straight.parameters);
    assert.equal(after.state.step, 3);
  });
});

describe('gradient clipping', () => {
  it('measures the norm over the trained ranges', () => {
    const vector = Float32Array.of(3, 100, 4, 100);
    const ranges = [
      { start: 0, end: 1 },
      { start: 2, end: 3 },
    ];
    assert.equal(globalNorm(vector, ranges), 5);
    assert.ok(Math.abs(globalNorm(vector) - Math.sqrt(20025)) < 1e-9);
  });

  it('scales a long gradient to the bound and leaves a short one alone', () => {
    const long = Float32Array.of(3, 4);
    clipGradient(long, 5, 1);
    near(long, [3 / 5.000001, 4 / 5.000001]);
    const short = Float32Array.of(0.3, 0.4);
    clipGradient(short, 0.5, 1);
    assert.deepEqual(short, Float32Array.of(0.3, 0.4));
  });
});
