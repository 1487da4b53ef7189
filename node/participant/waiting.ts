/**
 * Waiting for the federation to move on: until an announcement is heard, and not longer than a pause that grows while
 * nothing happens. Gossip may lose an announcement, so it can shorten a wait and never replaces the question.
 */
import { LIMITS } from '../../protocol/limits.ts';
import type { Phase } from '../../protocol/messages.ts';
import type { RoundNumber } from '../../protocol/names.ts';
import { backoff } from '../network/deadline.ts';

export class Waiting {
  #attempt = 0;
  #news = false;
  #wake: () => void = () => undefined;
  #training: { readonly round: RoundNumber; readonly controller: AbortController } | undefined;

  /** An announcement came. */
  hear(round: RoundNumber, phase: Phase): void {
    const running = this.#training;
    const stillOpen = phase === 'open' || phase === 'training' || phase === 'collecting';
    if (running && (round > running.round || (round === running.round && !stillOpen))) running.controller.abort();
    this.hurry();
  }

  /** The next wait ends at once. */
  hurry(): void {
    this.#news = true;
    this.#attempt = 0;
    this.#wake();
  }

  /** The last look went well: ask again after a short while, longer each time. */
  relax(): void {
    this.#attempt += 1;
  }

  /** The last look failed: leave the other side some time. */
  strain(): void {
    this.#news = false;
    this.#attempt += 1;
  }

  /** Waits for news or the end of the pause. Throws the signal's reason when it aborts. */
  async wait(signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    if (!this.#news) {
      const pause = backoff(this.#attempt, LIMITS.pollFirst.value, LIMITS.pollLongest.value);
      const { promise: over, resolve } = Promise.withResolvers<void>();
      const wake = () => resolve();
      const timer = setTimeout(wake, pause);
      this.#wake = wake;
      signal.addEventListener('abort', wake, { once: true });
      await over;
      clearTimeout(timer);
      signal.removeEventListener('abort', wake);
    }
    this.#news = false;
    signal.throwIfAborted();
  }

  /** A signal that aborts when the round is heard to be closed, or with `outer`. */
  roundOver(round: RoundNumber, outer: AbortSignal): Disposable & { readonly signal: AbortSignal } {
    const controller = new AbortController();
    const stop = () => controller.abort(outer.reason);
    outer.addEventListener('abort', stop, { once: true });
    if (outer.aborted) stop();
    this.#training = { round, controller };
    return {
      signal: controller.signal,
      [Symbol.dispose]: () => {
        outer.removeEventListener('abort', stop);
        this.#training = undefined;
      },
    };
  }
}
