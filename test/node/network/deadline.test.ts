import assert from 'node:assert/strict';
import { getEventListeners } from 'node:events';
import { DeadlineError, backoff, within } from '../../../node/network/deadline.ts';

const never = () => new Promise<never>(() => undefined);

describe('a wait', () => {
  it('ends after its time, also for work that does not heed its signal', async () => {
    await assert.rejects(within(5, undefined, never), (error) => error instanceof DeadlineError && error.wait === 5);
  });

  it('ends with the reason of the caller, and tells the work', async () => {
    const stop = new AbortController();
    let told: unknown;
    const waiting = within(60_000, stop.signal, (signal) => {
      signal.addEventListener('abort', () => (told = signal.reason));
      return never();
    });
    stop.abort(new Error('enough'));
    await assert.rejects(waiting, /enough/);
    assert.match(String(told), /enough/);
  });

  it('is not begun for a caller who has stopped already', async () => {
    let begun = false;
    const work = async () => void (begun = true);
    await assert.rejects(within(60_000, AbortSignal.abort(new Error('before')), work), /before/);
    assert.equal(begun, false);
  });

  it('leaves no listener on a signal that lives on', async () => {
    const { signal } = new AbortController();
    for (let n = 0; n < 50; n++) await within(60_000, signal, async () => n);
    await assert.rejects(
      within(60_000, signal, () => Promise.reject(new Error('own failure'))),
      /own failure/,
    );
    assert.equal(getEventListeners(signal, 'abort').length, 0);
  });
});

describe('the pause before another attempt', () => {
  it('doubles up to its longest, half of it by chance', () => {
    assert.deepEqual(
      [0, 1, 2, 3, 9, 5_000].map((attempt) => backoff(attempt, 100, 1_000, () => 1)),
      [100, 200, 400, 800, 1_000, 1_000],
    );
    assert.deepEqual(
      [0, 9].map((attempt) => backoff(attempt, 100, 1_000, () => 0)),
      [50, 500],
    );
  });
});
