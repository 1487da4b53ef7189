/**
 * Who holds the last adapter when all rounds are done.
 *
 * An aggregator that left at once would take the last receipt and its blobs with it. Members say, with every question
 * where the federation stands, which round they have verified. The aggregator may go when all who took part in the last
 * round, or asked about it as one behind a slow link does, have that one, or have let the time for it pass.
 */
import type { ParticipantId } from '../protocol/identity.ts';
import { LIMITS } from '../protocol/limits.ts';
import type { Rounds } from './rounds.ts';

export class Attendance implements Disposable {
  /** Resolves when nobody needs this aggregator any more; rejects when the rounds failed. */
  readonly complete: Promise<void>;
  readonly #rounds: Rounds;
  readonly #known = new Map<ParticipantId, number>();
  /** Who has asked since round `#round` opened. */
  readonly #asking = new Set<string>();
  #round = 0;
  readonly #everyone = Promise.withResolvers<void>();
  #grace: NodeJS.Timeout | undefined;

  constructor(rounds: Rounds) {
    this.#rounds = rounds;
    this.complete = rounds.finished.then(() => this.#waitForAll());
    this.complete.catch(() => undefined); // whoever asks for it hears of it
  }

  /** Notes the last round that a participant has verified. */
  note(participant: ParticipantId, round: number): void {
    const { state } = this.#rounds;
    if (state.round !== this.#round) this.#asking.clear();
    this.#round = state.round;
    this.#asking.add(participant);
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
    const lively = Object.entries(state.members).filter(([id, { missed }]) => missed === 0 || this.#asking.has(id));
    if (lively.every(([id]) => this.#known.get(id as ParticipantId) === state.round)) this.#everyone.resolve();
  }
}
