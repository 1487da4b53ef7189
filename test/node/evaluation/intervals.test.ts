import assert from 'node:assert/strict';
import fc from 'fast-check';
import { proportion, wilson } from '../../../node/evaluation/intervals.ts';

describe('the Wilson interval', () => {
  it('equals the published values of Newcombe 1998, table I, method 3', () => {
    const published = [
      { successes: 81, n: 263, low: 0.2553, high: 0.3662 },
      { successes: 15, n: 148, low: 0.0624, high: 0.1605 },
      { successes: 0, n: 20, low: 0, high: 0.1611 },
      { successes: 1, n: 29, low: 0.0061, high: 0.1718 },
    ];
    for (const { successes, n, low, high } of published) {
      const interval = wilson(successes, n);
      assert.equal(interval.low.toFixed(4), low.toFixed(4));
      assert.equal(interval.high.toFixed(4), high.toFixed(4));
      assert.equal(interval.value, successes / n);
    }
  });

  it('has as ends the shares that the observation is just 1.96 standard errors away from', () => {
    fc.assert(
      fc.property(fc.integer({ min: 2, max: 5000 }), fc.double({ min: 0.01, max: 0.99, noNaN: true }), (n, share) => {
        const { value, low, high } = wilson(share * n, n);
        for (const end of [low, high]) {
          const distance = Math.abs(value - end) / Math.sqrt((end * (1 - end)) / n);
          assert.ok(Math.abs(distance - 1.959963984540054) < 1e-6, `${distance}`);
        }
      }),
    );
  });

  it('stays inside [0, 1] and around its value', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 1000 }), fc.double({ min: 0, max: 1, noNaN: true }), (n, share) => {
        const { value, low, high } = wilson(share * n, n);
        assert.ok(low >= 0 && low <= value + 1e-12 && value <= high + 1e-12 && high <= 1);
      }),
    );
  });

  it('is closed at both ends', () => {
    assert.equal(wilson(0, 7).low, 0);
    assert.equal(wilson(7, 7).high, 1);
  });

  it('refuses what is no share', () => {
    for (const [successes, n] of [
      [1, 0],
      [-1, 5],
      [6, 5],
      [Number.NaN, 5],
    ] as const) {
      assert.throws(() => wilson(successes, n), RangeError);
    }
  });
});

describe('a proportion', () => {
  it('counts ties half in its value and apart by number', () => {
    const { value, n, ties } = proportion(3, 4, 10);
    assert.deepEqual({ value, n, ties }, { value: 0.5, n: 10, ties: 4 });
  });
});
