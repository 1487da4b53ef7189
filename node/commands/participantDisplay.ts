/**
 * What a participant does, shown to people: steps as one line of progress, everything else a line each.
 */
import { bytesText } from '../participant/consent.ts';
import type { ParticipantEvent } from '../participant/events.ts';
import type { Output } from './output.ts';
import type { Progress } from './progress.ts';

export class ParticipantDisplay {
  readonly #output: Output;
  #progress: Progress | undefined;

  constructor(output: Output) {
    this.#output = output;
  }

  event(event: ParticipantEvent): void {
    if (event.event === 'training') {
      this.#progress = this.#output.progress({ label: `round ${event.round}`, total: event.steps, unit: 'steps' });
      return;
    }
    if (event.event === 'step') {
      this.#progress?.update(event.step, `loss ${event.loss.toFixed(4)}`);
      return;
    }
    this.#progress?.end();
    this.#progress = undefined;
    for (const line of linesOf(event)) this.#output.human(line);
  }
}

type ShownEvent = Exclude<ParticipantEvent, { event: 'training' | 'step' }>;

/** An event in words. */
function linesOf(event: ShownEvent): string[] {
  switch (event.event) {
    case 'started':
      return [`node ${event.id} with ${event.pairs} pairs, for federation ${event.federation}`];
    case 'aggregator-found':
      return [`aggregator ${event.aggregator} found by ${event.through === 'dht' ? 'the DHT' : 'its address'}`];
    case 'member':
      return ['member of the federation'];
    case 'trained':
      return [
        `round ${event.round}: trained in ${event.seconds.toFixed(1)} s, update of ${bytesText(event.bytes)} with norm ` +
          `${event.norm.toPrecision(3)}${event.shortened ? ', shortened to the bound' : ''}`,
      ];
    case 'resumed':
      return [`round ${event.round}: the update is on disk from before, offering it again`];
    case 'update-accepted':
      return [`round ${event.round}: update acknowledged, ${bytesText(event.bytesSent)} sent`];
    case 'update-refused':
      return [`round ${event.round}: no update was taken (${event.code})`];
    case 'receipt-verified':
      return [`round ${event.round}: receipt verified, ${event.outcome}${event.reason ? ` (${event.reason})` : ''}`];
    case 'receipt-refused':
      return [`round ${event.round}: RECEIPT REFUSED, nothing adopted: ${event.codes.join(', ')}`];
    case 'log-checked':
      return []; // it is news only when it fails
    case 'adopted':
      return [`round ${event.round}: adapter adopted in ${event.folder}`];
    case 'retrying':
      return [`trying again: ${event.problem}`];
    case 'paused':
      return ['paused: no round waits for this node'];
    case 'left':
      return ['left the federation'];
    case 'finished':
      return [
        `all ${event.rounds} rounds are done; ${bytesText(event.bytesSent)} of updates sent, ` +
          `${bytesText(event.bytesReceived)} received`,
        `adapter ${event.adapter} in ${event.folder ?? 'no folder'}`,
      ];
  }
}
