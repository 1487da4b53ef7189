/**
 * Time, as the code that lives by it sees it: what the clock on the wall says, and being woken later. A node has the
 * system's; the simulator has one that moves only when nothing is left to do.
 */

export interface Clock {
  /** Milliseconds since 1970, as this machine believes. May jump. */
  readonly now: () => number;
  /** Runs `ring` once when the clock shows `at` (milliseconds since 1970), unless disposed before. */
  readonly alarm: (at: number, ring: () => void) => Disposable;
  /** Runs `ring` once after `wait` ms, whatever the clock shows by then, unless disposed before. */
  readonly after: (wait: number, ring: () => void) => Disposable;
}

/** Node's timers take at most 2^31 - 1 ms; a longer wait goes on in pieces. */
const LONGEST_TIMER = 2 ** 31 - 1;

export const systemClock: Clock = {
  now: Date.now,
  alarm(at, ring) {
    let timer: NodeJS.Timeout;
    const wait = (): void => {
      const left = at - Date.now();
      timer = setTimeout(left > LONGEST_TIMER ? wait : ring, Math.min(Math.max(left, 0), LONGEST_TIMER));
    };
    wait();
    return { [Symbol.dispose]: () => clearTimeout(timer) };
  },
  after(wait, ring) {
    const timer = setTimeout(ring, wait);
    return { [Symbol.dispose]: () => clearTimeout(timer) };
  },
};

/** Resolves after `wait` ms; rejects with the signal's reason when it aborts before. */
export async function pause(clock: Clock, wait: number, signal?: AbortSignal): Promise<void> {
  signal?.throwIfAborted();
  const over = Promise.withResolvers<void>();
  const stop = (): void => over.reject(signal?.reason);
  signal?.addEventListener('abort', stop, { once: true });
  using _timer = clock.after(wait, over.resolve);
  try {
    await over.promise;
  } finally {
    signal?.removeEventListener('abort', stop);
  }
}
