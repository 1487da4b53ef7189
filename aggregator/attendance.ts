/**
 * Who holds the last adapter when all rounds are done.
 *
 * An aggregator that left at once would take the last receipt and its blobs with it. Members say, with every question
 * where the federation stands, which round they have verified; when all who took part lately have the last one, or
 * have let the time for it pass, the aggregator may go.
 */
import type { ParticipantId } from '../protocol/identity.ts';
import { LIMITS } from '../protocol/limits.ts';
import type { Rounds } from './rounds.ts';

export class Attendance implements Disposable {
  /** Resolves when nobody needs this aggregator any more; rejects when the rounds failed. */
  readonly complete: Promise<void>;
  readonly #rounds: Rounds;
  readonly #known = new Map<ParticipantId, number>();
  readonly #everyone = Promise.withResolvers<void>();
  #grace: NodeJS.Timeout | undefined;

  constructor(rounds: Rounds) {
    this.#rounds = rounds;
    this.complete = rounds.finished.then(() => this.#waitForAll());
    this.complete.catch(() => undefined); // whoever asks for it hears of it
  }

  /** Notes the last round that a participant has verified. */
  note(participant: ParticipantId, round: number): void {
    this.#known.set(participant, round);
    this.#check();
  }

  [Symbol.dispose](): void {
    clearTimeout(this.#grace);
  }

  async #waitForAll(): Promise<void> {
    this.#grace = setTimeout(() => this.#everyone.resolve(), LIMITS.finishGrace.value);
    this.#check();
    await this.#everyone.promise;
    clearTimeout(this.#grace);
  }

  #check(): void {
    const { state } = this.#rounds;
    if (state.phase !== 'finished') return;
    const lively = Object.entries(state.members).filter(([, { missed }]) => missed === 0);
    if (lively.every(([id]) => this.#known.get(id as ParticipantId) === state.round)) this.#everyone.resolve();
  }
}
