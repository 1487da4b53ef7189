/**
 * What happened in a simulation, in order: enough to check the invariants, and a running hash of all of it, so that
 * two runs can be told apart by one number.
 */
import { createHash } from 'node:crypto';
import type { AggregatorEvent } from '../events.ts';
import type { ParticipantEvent } from '../../node/participant/events.ts';
import type { Sha256 } from '../../protocol/names.ts';

/** What the simulation itself does, and what it sees from outside. */
export type WorldEvent =
  | { readonly event: 'start' | 'crash' }
  | { readonly event: 'partition'; readonly side: number }
  | { readonly event: 'heal' }
  | { readonly event: 'clock'; readonly skew: number }
  | { readonly event: 'decay'; readonly blob: Sha256 }
  | { readonly event: 'died'; readonly code: string }
  /** An update message left a machine: what a privacy account would have to count. */
  | { readonly event: 'offer-left'; readonly round: number; readonly blob: Sha256; readonly recorded: boolean }
  /** An adapter was loaded for use. */
  | { readonly event: 'loaded'; readonly adapter: Sha256; readonly whole: boolean }
  | { readonly event: 'attack'; readonly attack: string; readonly code: string };

export interface Happening {
  /** Simulated milliseconds since the start. */
  readonly at: number;
  /** Who: `aggregator-0`, `participant-17`, or `world`. */
  readonly who: string;
  readonly what: AggregatorEvent | ParticipantEvent | WorldEvent;
}

/** Told far too often to be kept, and of no use to a checker. */
const NOT_KEPT = new Set([
  'step',
  'retrying',
  'refused',
  'resumed',
  'training',
  'trained',
  'log-checked',
  'aggregator-found',
]);

export class History {
  readonly happenings: Happening[] = [];
  readonly #digest = createHash('sha256');
  readonly #trace: ((line: string) => void) | undefined;

  /** @param trace told every happening, one line of JSON each */
  constructor(trace?: (line: string) => void) {
    this.#trace = trace;
  }

  add(happening: Happening): void {
    const line = JSON.stringify(happening);
    this.#digest.update(line);
    this.#digest.update('\n');
    this.#trace?.(line);
    if (!NOT_KEPT.has(happening.what.event)) this.happenings.push(happening);
  }

  /** SHA-256 over every line so far. */
  hash(): Sha256 {
    return this.#digest.copy().digest('hex') as Sha256;
  }
}
