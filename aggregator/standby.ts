/**
 * Waiting while another aggregator runs the federation.
 *
 * The manifest's order says who runs it: whoever is first among those that can be reached. Who runs it already goes on,
 * also when an earlier one comes back, so that a federation changes hands only when it must. Nobody can know that an
 * aggregator that cannot be reached has stopped; two may run at once for a while. Each participant follows one history,
 * and where the manifest wants the cosignatures of more than half the witnesses, there can be only one to follow.
 */
import { pause } from '../node/clock.ts';
import type { Clock } from '../node/clock.ts';
import { isPrefmeshError } from '../protocol/errors.ts';
import { LIMITS } from '../protocol/limits.ts';
import type { OpenedManifest } from '../protocol/manifest.ts';
import type { AggregatorEvent } from './events.ts';
import type { OtherAggregators } from './otherAggregators.ts';

export interface StandbyComponents {
  readonly federation: OpenedManifest;
  readonly others: OtherAggregators;
  readonly clock: Clock;
  /** How long nobody must have run the federation before the second takes over; the third waits twice as long (ms). */
  readonly takeOverAfter: number;
  readonly onEvent: (event: AggregatorEvent) => void;
}

/**
 * Copies the log of whoever runs the federation, until nobody does; then it is this one's turn.
 *
 * @throws LOG_FORKED when this one's log is another history; what is wrong with a round that it copied
 */
export async function standBy(components: StandbyComponents, signal: AbortSignal): Promise<void> {
  const { others, clock, takeOverAfter, onEvent } = components;
  let aloneSince: number | undefined;
  let told = '';
  for (;;) {
    const standings = await others.standings(signal);
    const running = standings.find((standing) => standing.does === 'run');
    if (running !== undefined) {
      aloneSince = undefined;
      const { id, terms } = running;
      if (await copied(others, running, signal)) {
        const news = `${id} ${others.length}`;
        if (told !== news) onEvent({ event: 'standing-by', aggregator: id, round: terms.round, copied: others.length });
        told = news;
      }
    } else {
      aloneSince ??= clock.now();
      const earlierWaits = standings.some(({ does }, n) => does === 'wait' && n < others.place);
      const over = clock.now() - aloneSince >= others.place * takeOverAfter;
      if (!earlierWaits && over) return;
    }
    await pause(clock, LIMITS.standbyPoll.value, signal);
  }
}

/** Copies what is new; false when the other went away meanwhile. */
async function copied(
  others: OtherAggregators,
  running: Parameters<OtherAggregators['copy']>[0],
  signal: AbortSignal,
): Promise<boolean> {
  try {
    await others.copy(running, signal);
    return true;
  } catch (error) {
    signal.throwIfAborted();
    const passing = isPrefmeshError(error) && (error.exitCode === 4 || error.code === 'PEER_REFUSED');
    if (!passing) throw error;
    return false;
  }
}
