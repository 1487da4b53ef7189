/**
 * Finding out that another aggregator has gone on with the federation without this one.
 *
 * An aggregator that was stopped for a while, or cut off, does not know that its time is over: it holds a round that it
 * may close at once. So it looks at the logs of the others all the time, and once more before it signs a receipt.
 */
import { pause } from '../node/clock.ts';
import type { Clock } from '../node/clock.ts';
import { PrefmeshError } from '../protocol/errors.ts';
import type { ParticipantId } from '../protocol/identity.ts';
import { LIMITS } from '../protocol/limits.ts';
import type { OpenedManifest } from '../protocol/manifest.ts';
import type { AggregatorEvent } from './events.ts';
import type { OtherAggregators } from './otherAggregators.ts';

export interface SuccessionComponents {
  readonly federation: OpenedManifest;
  readonly others: Pick<OtherAggregators, 'ids' | 'compare' | 'forked'>;
  readonly clock: Clock;
  readonly onEvent: (event: AggregatorEvent) => void;
}

export class Succession {
  readonly #components: SuccessionComponents;
  /** Those of whose other history was told. */
  readonly #told = new Set<ParticipantId>();

  constructor(components: SuccessionComponents) {
    this.#components = components;
  }

  /** Looks once a second. Resolves when `signal` aborts; rejects as `look`. */
  async watch(signal: AbortSignal): Promise<void> {
    const { others, clock } = this.#components;
    if (others.ids.length === 0) return;
    try {
      for (;;) {
        await pause(clock, LIMITS.standbyPoll.value, signal);
        await this.#look(signal);
      }
    } catch (error) {
      if (!signal.aborted) throw error;
    }
  }

  /**
   * To be asked before anything is signed that others would have to follow.
   *
   * @throws STALE_AGGREGATOR when the log of another goes on from this one's; LOG_FORKED when it is longer, and another
   *   history
   */
  async confirm(signal: AbortSignal): Promise<void> {
    const { clock } = this.#components;
    for (;;) {
      const started = clock.now();
      await this.#look(signal);
      // One that took longer than it may was interrupted: the machine slept, and what was heard is old.
      if (clock.now() - started < 3 * LIMITS.successorWait.value) return;
    }
  }

  async #look(signal: AbortSignal): Promise<void> {
    const { federation, others, onEvent } = this.#components;
    for (const comparison of await others.compare(signal)) {
      const { id, size, own, sameHistory } = comparison;
      if (size > own && !sameHistory) throw others.forked(comparison);
      if (size > own) throw new PrefmeshError('STALE_AGGREGATOR', { federation: federation.hash, aggregator: id });
      // This one's is as long or longer: the other stops. Where both have ended, nobody does.
      if (!sameHistory && !this.#told.has(id)) onEvent({ event: 'other-history', aggregator: id, receipts: size, own });
      if (!sameHistory) this.#told.add(id);
    }
  }
}
