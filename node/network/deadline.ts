/**
 * Waits that end: by their own time, or by the caller's signal.
 *
 * `AbortSignal.any` on a signal that lives as long as the process piles up listeners there; this takes its listener
 * and its timer away when the work is done.
 */
import { systemClock } from '../clock.ts';
import type { Clock } from '../clock.ts';

/** The wait was over. Callers turn it into an error that says what was waited for. */
export class DeadlineError extends Error {
  override readonly name = 'DeadlineError';
  /** Milliseconds. */
  readonly wait: number;

  constructor(wait: number) {
    super(`no answer within ${wait} ms`);
    this.wait = wait;
  }
}

/**
 * Runs `work` with a signal that aborts after `wait` ms or with `outer`, and does not wait longer, even for work that
 * does not heed the signal.
 * @throws DeadlineError after `wait`, the reason of `outer` when that aborts, else whatever `work` throws
 */
export async function within<T>(
  wait: number,
  outer: AbortSignal | undefined,
  work: (signal: AbortSignal) => Promise<T>,
  clock: Pick<Clock, 'after'> = systemClock,
): Promise<T> {
  outer?.throwIfAborted();
  const controller = new AbortController();
  const over = Promise.withResolvers<never>();
  const end = (reason: unknown) => {
    controller.abort(reason);
    over.reject(reason);
  };
  const onAbort = () => end(outer?.reason);
  using _timer = clock.after(wait, () => end(new DeadlineError(wait)));
  outer?.addEventListener('abort', onAbort, { once: true });
  try {
    return await Promise.race([work(controller.signal), over.promise]);
  } catch (error) {
    // What the work throws because it was aborted says less than why it was.
    throw controller.signal.aborted ? controller.signal.reason : error;
  } finally {
    outer?.removeEventListener('abort', onAbort);
  }
}

/** Milliseconds to wait before attempt `attempt` (from 0): doubling from `first` to `longest`, half of it at random. */
export function backoff(attempt: number, first: number, longest: number, random: () => number = Math.random): number {
  const full = Math.min(longest, first * 2 ** Math.min(attempt, 30));
  return full / 2 + (full / 2) * random();
}
