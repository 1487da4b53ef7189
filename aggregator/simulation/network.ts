/**
 * A simulated network: requests that take time, get lost on the way there or back, come twice or late; announcements
 * that do the same; machines that cannot reach each other for a while.
 *
 * It carries the requests of `node/network/federation` and `node/network/blob` with their errors. Below them, the
 * byte-level behaviour of libp2p is not simulated: see docs/explanation/simulation.md.
 */
import { refusalOf, refused } from '../../node/network/refusal.ts';
import type { LogAnswer } from '../../node/network/federation/server.ts';
import type { RandomStream } from '../../node/training/randomStream.ts';
import { PrefmeshError, isPrefmeshError } from '../../protocol/errors.ts';
import type { ParticipantId } from '../../protocol/identity.ts';
import { LIMITS } from '../../protocol/limits.ts';
import type { RoundNumber, Sha256 } from '../../protocol/names.ts';
import { Crashed, type SimulatedProcess } from './machine.ts';
import type { Schedule } from './schedule.ts';

/** What a process answers. */
export interface Services {
  readonly message?: (envelope: Uint8Array, from: ParticipantId, signal: AbortSignal) => Promise<Uint8Array>;
  readonly evidence?: (round: RoundNumber, from: ParticipantId) => readonly Uint8Array[] | undefined;
  readonly log?: (size: number, from: ParticipantId) => LogAnswer | undefined;
  readonly cosign?: (checkpoint: string) => LogAnswer;
  readonly blob?: (hash: Sha256, from: ParticipantId) => Promise<Uint8Array>;
  /** An announcement came. */
  readonly hear?: (envelope: Uint8Array) => void;
}

export interface Weather {
  /** Median one-way delay in ms. */
  readonly latency: number;
  /** Chance that a request, a reply or an announcement is lost. */
  readonly loss: number;
  /** Chance that a request arrives a second time. */
  readonly duplication: number;
  /** Bytes a second that a participant sends or receives, and an aggregator. */
  readonly bandwidth: number;
  readonly aggregatorBandwidth: number;
}

export interface RequestOptions<Reply> {
  readonly signal?: AbortSignal;
  readonly size?: (reply: Reply) => number;
  readonly wait?: number;
}

interface Attached {
  readonly process: SimulatedProcess;
  readonly services: Services;
}

/** One of this many deliveries takes ten times as long, and is overtaken by others. */
const LATE_ONE_IN = 50;
const LATE_FACTOR = 10;
/** Of lost requests, this share ends in silence until the wait is over; the others see the connection cut. */
const SILENT_SHARE = 0.2;
/** How long it takes to notice that a connection is cut, or that nobody is there (ms). */
const CUT_AFTER = 1_500;
const DIAL_FAILS_AFTER = 3_000;
/** How soon a connection is back that was held (ms): somewhere between two attempts to dial. */
const RECONNECTS_WITHIN = 250;
const REQUEST_BYTES = 600;
const REPLY_BYTES = 500;

export class SimulatedNetwork {
  /** Bytes that went over it. */
  bytes = 0;
  /** Who is on the far side of a partition. */
  readonly #cut = new Set<ParticipantId>();
  readonly #attached = new Map<ParticipantId, Attached>();
  /** Until when a machine's link is busy with transfers. */
  readonly #busy = new Map<ParticipantId, number>();
  readonly #schedule: Schedule;
  readonly #random: RandomStream;
  readonly #weather: Weather;
  /** Who answers in another's place, to whom: an aggregator that tells two stories has two of it. */
  readonly #doubles = new Map<
    ParticipantId,
    { readonly for: ParticipantId; readonly to: ReadonlySet<ParticipantId> }
  >();
  /** Told when somebody may be reached who could not be before. */
  readonly #waiting = new Set<() => void>();
  /** Who has the aggregator's bandwidth: it and the witnesses. */
  readonly #fast: ReadonlySet<ParticipantId>;

  constructor(schedule: Schedule, random: RandomStream, weather: Weather, fast: readonly ParticipantId[]) {
    this.#schedule = schedule;
    this.#random = random;
    this.#weather = weather;
    this.#fast = new Set(fast);
  }

  attach(process: SimulatedProcess, services: Services): void {
    this.#attached.set(process.id, { process, services });
    this.#tellWaiting();
  }

  /** Cuts these machines off from all others; they reach each other. */
  partition(side: readonly ParticipantId[]): void {
    this.#cut.clear();
    for (const id of side) this.#cut.add(id);
  }

  heal(): void {
    this.#cut.clear();
    this.#tellWaiting();
  }

  /**
   * Waits until `look` finds who is connected again: machines that were reached before dial each other, and some time
   * after both can be reached they are. Throws the signal's reason.
   */
  async connection(
    process: SimulatedProcess,
    look: () => ParticipantId | undefined,
    signal: AbortSignal,
  ): Promise<ParticipantId> {
    const there = look();
    if (there !== undefined) return there;
    const { promise, resolve, reject } = Promise.withResolvers<ParticipantId>();
    const again = (): void => {
      this.#schedule.after(RECONNECTS_WITHIN * this.#random.uniform(), () => {
        const found = process.alive ? look() : undefined;
        if (found !== undefined) resolve(found);
      });
    };
    const stop = (): void => reject(signal.reason);
    this.#waiting.add(again);
    signal.addEventListener('abort', stop, { once: true });
    try {
      return await promise;
    } finally {
      this.#waiting.delete(again);
      signal.removeEventListener('abort', stop);
    }
  }

  #tellWaiting(): void {
    for (const again of this.#waiting) again();
  }

  /** Lets `double` answer whoever of `to` asks for `id`. */
  divert(id: ParticipantId, double: ParticipantId, to: ReadonlySet<ParticipantId>): void {
    this.#doubles.set(double, { for: id, to });
  }

  reaches(from: ParticipantId, to: ParticipantId): boolean {
    return this.#attached.get(to)?.process.alive === true && this.#cut.has(from) === this.#cut.has(to);
  }

  /** Tells everyone else, except those to whom it is lost. */
  publish(from: SimulatedProcess, envelope: Uint8Array): void {
    for (const [id, { process, services }] of this.#attached) {
      const { hear } = services;
      if (id === from.id || hear === undefined || !this.reaches(from.id, id)) continue;
      if (this.#doubles.size > 0 && !this.#heard(from.id, id)) continue;
      this.bytes += envelope.length;
      if (this.#random.uniform() < this.#weather.loss) continue;
      this.#schedule.after(this.#delay() + this.#delay(), () => {
        if (process.alive) hear(envelope);
      });
    }
  }

  /**
   * Sends a request and brings back the reply.
   *
   * @param size bytes of the reply
   * @param wait how long an answer is waited for, in ms
   * @throws PEER_UNREACHABLE, STREAM_CUT, PEER_SILENT; PEER_REFUSED with the code that the other side threw
   */
  request<Reply>(
    from: SimulatedProcess,
    to: ParticipantId,
    what: string,
    serve: (services: Services, signal: AbortSignal) => Promise<Reply> | Reply,
    { signal, size = () => REPLY_BYTES, wait = LIMITS.replyWait.value }: RequestOptions<Reply> = {},
  ): Promise<Reply> {
    const outcome = Promise.withResolvers<Reply>();
    const settle = (run: () => void): void => {
      silence[Symbol.dispose]();
      signal?.removeEventListener('abort', abort);
      if (from.alive) run();
    };
    const abort = (): void => settle(() => outcome.reject(signal?.reason));
    const fail = (after: number, error: PrefmeshError): void =>
      void this.#schedule.after(after, () => settle(() => outcome.reject(error)));
    const silent = (): void => {
      const { value } = LIMITS.replyWait;
      outcome.reject(new PrefmeshError('PEER_SILENT', { peer: to, wait: value, request: what }));
    };
    const silence = this.#schedule.after(wait, () => settle(silent));
    const cut = (): void => fail(CUT_AFTER, new PrefmeshError('STREAM_CUT', { peer: to, request: what }));
    const lost = (): void => {
      if (this.#random.uniform() >= SILENT_SHARE) return cut();
      this.#schedule.after(LIMITS.replyWait.value, () => settle(silent));
    };
    for (const [double, diverted] of this.#doubles) {
      if (diverted.for === to && diverted.to.has(from.id)) to = double;
    }
    signal?.addEventListener('abort', abort, { once: true });
    if (signal?.aborted) abort();
    from.effect();

    if (!this.reaches(from.id, to)) {
      fail(DIAL_FAILS_AFTER, new PrefmeshError('PEER_UNREACHABLE', { peer: to, problem: 'no route to it' }));
      return outcome.promise;
    }
    this.bytes += REQUEST_BYTES;
    if (this.#random.uniform() < this.#weather.loss) {
      lost();
      return outcome.promise;
    }
    const run = (answer: (reply: Reply) => void, refuse: (error: unknown) => void): void => {
      const target = this.#attached.get(to);
      if (target === undefined || !this.reaches(from.id, to)) return refuse(new Crashed());
      const answered = new AbortController();
      const { mourners } = target.process;
      const died = (): void => refuse(new Crashed());
      mourners.add(died);
      Promise.resolve()
        .then(() => serve(target.services, answered.signal))
        .then(
          (reply) => (target.process.alive ? answer(reply) : refuse(new Crashed())),
          (error: unknown) => refuse(error),
        )
        .finally(() => mourners.delete(died));
    };
    const answer = (reply: Reply): void => {
      const length = size(reply);
      this.bytes += length;
      if (this.#random.uniform() < this.#weather.loss || !this.reaches(to, from.id)) return lost();
      this.#schedule.at(this.#transferred(to, from.id, length) + this.#delay(), () =>
        settle(() => outcome.resolve(reply)),
      );
    };
    const refuse = (error: unknown): void => {
      if (error instanceof Crashed) return cut();
      if (!isPrefmeshError(error)) return settle(() => outcome.reject(error));
      this.bytes += REPLY_BYTES;
      fail(this.#delay(), refused(to, what, refusalOf(error)));
    };
    this.#schedule.after(this.#delay(), () => run(answer, refuse));
    if (this.#random.uniform() < this.#weather.duplication) {
      const nobody = (): void => undefined;
      this.#schedule.after(this.#delay() * LATE_FACTOR, () => run(nobody, nobody));
    }
    return outcome.promise;
  }

  /** Whether one who has a double, or is one, is heard by another. */
  #heard(from: ParticipantId, to: ParticipantId): boolean {
    for (const [double, diverted] of this.#doubles) {
      if (double === from) return diverted.to.has(to);
      if (diverted.for === from) return !diverted.to.has(to);
    }
    return true;
  }

  #delay(): number {
    const factor = 0.5 + this.#random.uniform();
    const late = Math.floor(this.#random.uniform() * LATE_ONE_IN) === 0;
    return this.#weather.latency * factor * (late ? LATE_FACTOR : 1);
  }

  /** When a transfer of so many bytes is through: links carry one after the other. */
  #transferred(from: ParticipantId, to: ParticipantId, length: number): number {
    const { now } = this.#schedule;
    let end = now;
    for (const id of [from, to]) {
      const rate = this.#fast.has(id) ? this.#weather.aggregatorBandwidth : this.#weather.bandwidth;
      const free = Math.max(now, this.#busy.get(id) ?? now) + (1000 * length) / rate;
      this.#busy.set(id, free);
      end = Math.max(end, free);
    }
    return end;
  }
}
