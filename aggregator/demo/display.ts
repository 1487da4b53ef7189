/**
 * The demo on the terminal: a line for each thing that happens once, and one line of progress for the steps of all
 * participants together, with their rate, the bytes sent and the time left.
 */
import type { Output } from '../../node/commands/output.ts';
import type { Progress } from '../../node/commands/progress.ts';
import { bytesText } from '../../node/participant/consent.ts';
import type { Assessment } from './assessment.ts';
import type { DemoEvent } from './federationRun.ts';

export class DemoDisplay {
  readonly #output: Output;
  readonly #totalSteps: number;
  #progress: Progress | undefined;
  #steps = 0;
  #bytesSent = 0;

  /** @param totalSteps optimiser steps that the demo makes in all, in rounds and alone */
  constructor(output: Output, totalSteps: number) {
    this.#output = output;
    this.#totalSteps = totalSteps;
  }

  /** Something worth a line of its own. */
  say(text: string): void {
    this.#progress?.end();
    this.#output.human(text);
  }

  heard({ from, event, ...who }: DemoEvent): void {
    if (from === 'participant') {
      if (event.event === 'step') this.stepped(`round ${event.round}`);
      else if (event.event === 'update-accepted') this.#bytesSent += event.bytesSent;
      else if (event.event === 'aggregator-found' && 'index' in who) {
        this.say(
          `participant ${who.index + 1} found the aggregator by ${event.through === 'dht' ? 'the DHT' : 'its address'}`,
        );
      } else if (event.event === 'receipt-refused') {
        this.say(`a participant refused the receipt of round ${event.round}: ${event.codes.join(', ')}`);
      }
      return;
    }
    switch (event.event) {
      case 'listening':
        return this.say(`aggregator of federation ${event.federation.slice(0, 16)}… listens on ${event.addresses[0]}`);
      case 'round-opened':
        this.#progress ??= this.#output.progress({ label: 'training', total: this.#totalSteps, unit: 'steps' });
        return this.say(`round ${event.round}: ${event.cohort.length} participants train factor ${event.factor}`);
      case 'round-closed':
        return this.say(
          `round ${event.round} ${event.outcome} after ${event.seconds.toFixed(1)} s` +
            (event.accuracy === null || event.figures === null
              ? ''
              : `: preference accuracy ${percent(event.accuracy.value)}, perplexity ` +
                event.figures.evaluation.perplexity.toFixed(3)) +
            `, ${bytesText(this.#bytesSent)} sent so far`,
        );
      case 'refused':
        return this.say(`the aggregator refused ${event.message ?? 'a message'}: ${event.code}`);
      default:
        return; // the other events are counted elsewhere or say no more than these
    }
  }

  /** One more optimiser step, wherever it was made. */
  stepped(where: string): void {
    this.#progress?.update(++this.#steps, `${where}, ${bytesText(this.#bytesSent)} sent`);
  }

  /** The final table: one row a way of training, one column a figure. */
  table(rows: readonly { readonly name: string; readonly assessment: Assessment }[]): void {
    this.#progress?.end();
    const tastes = Object.keys(rows[0]?.assessment.preferences.byGroup ?? {});
    this.#output.table([
      ['', 'accuracy', '95 % interval', ...tastes, 'win rate', 'perplexity'],
      ...rows.map(({ name, assessment: { preferences, winRate } }) => [
        name,
        percent(preferences.accuracy.value),
        `${(100 * preferences.accuracy.low).toFixed(1)}–${(100 * preferences.accuracy.high).toFixed(1)}`,
        ...tastes.map((taste) => percent(preferences.byGroup![taste]!.value)),
        percent(winRate.value),
        preferences.perplexity.toFixed(3),
      ]),
    ]);
  }
}

function percent(share: number): string {
  return `${(100 * share).toFixed(1)} %`;
}
