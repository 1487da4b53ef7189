/**
 * Waiting for the federation to move on: until an announcement is heard, and not longer than a pause that grows while
 * nothing happens. Gossip may lose an announcement, so it can shorten a wait and never replaces the question.
 */
import { LIMITS } from '../../protocol/limits.ts';
import type { Payload, Phase } from '../../protocol/messages.ts';
import type { RoundNumber } from '../../protocol/names.ts';
import { systemClock } from '../clock.ts';
import type { Clock } from '../clock.ts';
import { backoff } from '../network/deadline.ts';

export interface WaitingComponents {
  readonly clock?: Pick<Clock, 'after'>;
  /** Between 0 and 1: so that many participants do not ask at the same moment. */
  readonly random?: () => number;
}

export class Waiting {
  readonly #clock: Pick<Clock, 'after'>;
  readonly #random: () => number;
  #attempt = 0;
  #news = false;
  #wake: () => void = () => undefined;
  /** What the aggregator said last. */
  #known: { readonly round: number; readonly stage: number } = { round: 0, stage: 0 };
  #longest: number = LIMITS.pollLongest.value;
  #training: { readonly round: RoundNumber; readonly controller: AbortController } | undefined;

  constructor({ clock = systemClock, random = Math.random }: WaitingComponents = {}) {
    this.#clock = clock;
    this.#random = random;
  }

  /** An announcement came. It ends the wait if it says more than the aggregator's last answer. */
  hear(round: RoundNumber, phase: Phase): void {
    const running = this.#training;
    const stage = stageOf(phase);
    if (running && (round > running.round || (round === running.round && stage > RUNNING))) running.controller.abort();
    const more = round > this.#known.round || (round === this.#known.round && stage > this.#known.stage);
    if (more && stage !== CLOSED) this.hurry();
  }

  /** The aggregator said where it stands. */
  told({ round, phase, members }: Pick<Payload<'round-terms'>, 'round' | 'phase' | 'members'>): void {
    this.#known = { round, stage: stageOf(phase) };
    this.#longest = Math.max(LIMITS.pollLongest.value, LIMITS.pollShare.value * members);
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
      const first = (this.#longest * LIMITS.pollFirst.value) / LIMITS.pollLongest.value;
      const pause = backoff(this.#attempt, first, this.#longest, this.#random);
      const { promise: over, resolve } = Promise.withResolvers<void>();
      const wake = () => resolve();
      using _timer = this.#clock.after(pause, wake);
      this.#wake = wake;
      signal.addEventListener('abort', wake, { once: true });
      await over;
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

/** How far a round has come, as far as a participant has anything to do about it. */
const [OPEN, RUNNING, CLOSED, OVER] = [0, 1, 2, 3];

function stageOf(phase: Phase): number {
  switch (phase) {
    case 'open':
      return OPEN;
    case 'training':
    case 'collecting':
      return RUNNING;
    case 'aggregating':
    case 'evaluating':
      return CLOSED;
    case 'published':
    case 'skipped':
    case 'finished':
      return OVER;
  }
}
