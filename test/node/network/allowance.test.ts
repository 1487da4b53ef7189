import assert from 'node:assert/strict';
import { Allowance } from '../../../node/network/allowance.ts';

describe('an allowance', () => {
  it('is used up, refuses, and refills steadily', () => {
    let now = 0;
    const allowance = new Allowance({ units: 10, refill: 1_000, now: () => now });
    allowance.use('a', 10);
    assert.throws(() => allowance.use('a', 1), { code: 'RATE_LIMITED' });
    now = 500;
    assert.throws(() => allowance.use('a', 6), { code: 'RATE_LIMITED' });
    allowance.use('a', 5);
    now = 10_000;
    assert.throws(() => allowance.use('a', 11), { code: 'RATE_LIMITED' }, 'never more than a full one');
    allowance.use('a', 10);
  });

  it('is apart for each peer', () => {
    const allowance = new Allowance({ units: 1, refill: 1_000, now: () => 0 });
    allowance.use('a');
    allowance.use('b');
    assert.throws(() => allowance.use('a'), { code: 'RATE_LIMITED' });
  });
});
