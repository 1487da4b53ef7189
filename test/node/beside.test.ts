import assert from 'node:assert/strict';
import { beside } from '../../node/beside.ts';

describe('work on many items beside each other', () => {
  it('does every item, never more at once than allowed', async () => {
    const done: number[] = [];
    let [running, most] = [0, 0];
    const waiting: (() => void)[] = [];
    const all = beside([1, 2, 3, 4, 5], 2, async (item) => {
      most = Math.max(most, ++running);
      await new Promise<void>((resolve) => waiting.push(resolve));
      running -= 1;
      done.push(item);
    });
    while (done.length < 5) {
      waiting.shift()?.();
      await new Promise((resolve) => setImmediate(resolve));
    }
    await all;
    assert.deepEqual(done, [1, 2, 3, 4, 5]);
    assert.equal(most, 2);
  });

  it('begins nothing more after a failure, and throws it when what runs has ended', async () => {
    const begun: number[] = [];
    const second = Promise.withResolvers<void>();
    const all = beside([1, 2, 3], 2, async (item) => {
      begun.push(item);
      if (item === 1) throw new Error('first');
      await second.promise;
    });
    let over = false;
    all.then(
      () => undefined,
      () => (over = true),
    );
    await new Promise((resolve) => setImmediate(resolve));
    assert.equal(over, false);
    second.resolve();
    await assert.rejects(all, /first/);
    assert.deepEqual(begun, [1, 2]);
  });

  it('does nothing for no items', () => beside([], 3, () => Promise.reject(new Error('called'))));
});
