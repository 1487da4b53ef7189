import assert from 'node:assert/strict';
import { RandomStream } from '../../../node/training/randomStream.ts';

describe('random stream', () => {
  it('gives the numbers of sfc32 seeded by the hash of its label', () => {
    // Computed by a separate implementation of sfc32.
    const stream = new RandomStream(7, 'order', 0);
    assert.deepEqual(
      Array.from({ length: 4 }, () => stream.bits()),
      [989431649, 16351947, 155379852, 2099054968],
    );
    const uniform = new RandomStream(7, 'order', 0);
    assert.equal(uniform.uniform(), 0.23037000748371506);
    assert.equal(uniform.uniform(), 0.03617719179931511);
    assert.deepEqual(new RandomStream(7, 'order', 0).permutation(8), [7, 6, 5, 4, 2, 3, 0, 1]);
  });

  it('gives other numbers under another label', () => {
    const first = (...label: (string | number)[]) => new RandomStream(...label).bits();
    assert.equal(new Set([first(7, 'a'), first(7, 'b'), first(8, 'a'), first('7', 'a'), first(7, 'a', 0)]).size, 5);
  });

  it('is uniform', () => {
    const stream = new RandomStream('uniform');
    const counts = Array.from({ length: 10 }, () => 0);
    for (let i = 0; i < 100_000; i++) counts[Math.floor(stream.uniform() * 10)]!++;
    // Chi-squared with 9 degrees of freedom is above 27.9 once in a thousand streams; this one is fixed.
    const chi = counts.reduce((sum, count) => sum + (count - 10_000) ** 2 / 10_000, 0);
    assert.ok(chi < 27.9, `chi-squared ${chi}`);
  });
});
