/**
 * Runs a federation's rounds: feeds events to the protocol's round machine, stores the state it answers, and carries
 * out the effects.
 *
 * The order is the whole point: the new state is on disk before anything of it is said or done, so a crash at any
 * instant leaves a state from which `resume` goes on. Clock, timer, ledger, network and arithmetic come in from
 * outside; `aggregator.ts` brings the real ones.
 */
import { isPrefmeshError } from '../protocol/errors.ts';
import type { ErrorCode } from '../protocol/errors.ts';
import type { EvaluationFigures } from '../protocol/figures.ts';
import type { Identity, ParticipantId } from '../protocol/identity.ts';
import type { OpenedManifest } from '../protocol/manifest.ts';
import type { Sha256 } from '../protocol/names.ts';
import { sealMessage } from '../protocol/opening.ts';
import { receiptOf, signReceipt } from '../protocol/receipt.ts';
import { resume, step } from '../protocol/round.ts';
import { factorOfRound, nextTick } from '../protocol/roundState.ts';
import type { EndedRound, FederationState, RoundEffect, RoundEvent } from '../protocol/roundState.ts';
import type { Clock } from '../node/clock.ts';
import type { MessageHeaders } from '../node/participant/messageHeaders.ts';
import type { AggregatedBlobs } from './aggregation.ts';
import type { AggregatorEvent } from './events.ts';
import type { Commitment, Ledger } from './ledger.ts';

export type AggregateEffect = Extract<RoundEffect, { type: 'aggregate' }>;
export type EvaluateEffect = Extract<RoundEffect, { type: 'evaluate' }>;
type AnnounceEffect = Extract<RoundEffect, { type: 'announce' }>;

export interface RoundsComponents {
  readonly federation: OpenedManifest;
  readonly identity: Identity;
  readonly ledger: Ledger;
  readonly headers: MessageHeaders;
  /** Milliseconds since 1970. */
  readonly now: Clock['now'];
  readonly alarm: Clock['alarm'];
  /** Sums the round's updates and stores the result. Throws UPDATE_LOST (with `blob`), OUT_OF_RANGE. */
  readonly aggregate: (effect: AggregateEffect, signal: AbortSignal) => Promise<AggregatedBlobs>;
  /** Measures candidate and parent. Throws LOG_PROBS_NOT_FINITE. */
  readonly evaluate: (effect: EvaluateEffect, signal: AbortSignal) => Promise<EvaluationFigures>;
  /** Asked before a receipt is signed, where there are other aggregators; it is not signed when this throws. */
  readonly beforePublishing?: (signal: AbortSignal) => Promise<void>;
  /** Tells everyone. Who does not hear it asks. */
  readonly announce: (envelope: Uint8Array) => Promise<unknown>;
  readonly onEvent: (event: AggregatorEvent) => void;
  /** What only the measuring side knows of a round that ended: accuracy with its interval, and by taste. */
  readonly describe: (ended: EndedRound) => Pick<AggregatorEvent & { event: 'round-closed' }, 'accuracy' | 'byTaste'>;
  readonly bytesReceived: () => number;
}

export class Rounds implements AsyncDisposable {
  readonly #components: RoundsComponents;
  readonly #stop = new AbortController();
  readonly #jobs = new Map<string, Promise<void>>();
  readonly #ended = Promise.withResolvers<void>();
  #state: FederationState;
  #alarm: Disposable | undefined;

  constructor(components: RoundsComponents) {
    this.#components = components;
    this.#state = components.ledger.state;
    this.#ended.promise.catch(() => undefined); // whoever asks for `finished` hears of it
  }

  get state(): FederationState {
    return this.#state;
  }

  /** Resolves when no round is left; rejects when something failed that the protocol has no answer to. */
  get finished(): Promise<void> {
    return this.#ended.promise;
  }

  /** Goes on from the stored state: after a crash, with what was due. */
  start(): void {
    this.#tellOfOpening(undefined, this.#state);
    this.#carryOut(resume(this.#state));
    this.#setAlarm();
  }

  /** Starts an open round that has its members from another aggregator's log: they need not join again. */
  takeOver(): void {
    this.feed({ type: 'tick', at: this.#components.now() });
  }

  /** Ends the rounds with this error: the protocol has no answer to it. */
  fail(error: unknown): void {
    this.#stop.abort();
    this.#ended.reject(error);
  }

  /**
   * Feeds one event. What `alongside` holds is committed with the state that the event brings about, if it brings
   * about any; `tell` makes the news of it, which go out before the news of what follows.
   * Returns the code with which the event's request is to be answered: null when accepted, undefined for an event
   * that has no request.
   */
  feed(
    event: RoundEvent,
    alongside?: Commitment,
    tell?: (state: FederationState) => AggregatorEvent,
  ): ErrorCode | null | undefined {
    const before = this.#state;
    const { state, effects } = step(before, event);
    if (state !== before) this.#components.ledger.commit(state, { sender: senderOf(event), ...alongside });
    this.#state = state;
    const code = effects.find((effect) => effect.type === 'answer')?.code;
    if (tell && state !== before && !code) this.#components.onEvent(tell(state));
    this.#tellOfOpening(before, state);
    this.#carryOut(effects);
    this.#setAlarm();
    return code;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort();
    this.#alarm?.[Symbol.dispose]();
    await Promise.all(this.#jobs.values());
  }

  #carryOut(effects: readonly RoundEffect[]): void {
    for (const effect of effects) {
      switch (effect.type) {
        case 'answer':
          break; // `feed` returns it to whoever holds the request
        case 'announce':
          this.#announce(effect);
          break;
        case 'aggregate':
          this.#work(`aggregate ${effect.round} ${effect.blobs.length}`, () => this.#aggregate(effect));
          break;
        case 'evaluate':
          this.#work(`evaluate ${effect.round}`, () => this.#evaluate(effect));
          break;
        case 'publish':
          this.#confirmAndPublish(effect.ended);
          break;
        case 'finish':
          this.#components.onEvent({
            event: 'finished',
            rounds: this.#state.round,
            adapter: effect.adapter,
            receipt: effect.receipt,
          });
          this.#ended.resolve();
      }
    }
  }

  /** Starts a piece of work, unless it is under way already. */
  #work(name: string, work: () => Promise<void>): void {
    if (this.#jobs.has(name) || this.#stop.signal.aborted) return;
    const job = work()
      .catch((error: unknown) => {
        if (!this.#stop.signal.aborted) this.#ended.reject(error);
      })
      .finally(() => this.#jobs.delete(name));
    this.#jobs.set(name, job);
  }

  async #aggregate(effect: AggregateEffect): Promise<void> {
    const { aggregate, now, onEvent } = this.#components;
    const { round } = effect;
    const started = now();
    try {
      const { candidate, optimizerState } = await aggregate(effect, this.#stop.signal);
      const seconds = (now() - started) / 1000;
      onEvent({ event: 'aggregated', round, candidate, updates: effect.blobs.length, seconds });
      this.feed({ type: 'aggregated', at: now(), round, candidate, optimizerState });
    } catch (error) {
      if (error instanceof LostUpdate) this.feed({ type: 'update-lost', at: now(), round, blob: error.blob });
      else if (isPrefmeshError(error, 'OUT_OF_RANGE')) this.feed({ type: 'aggregation-failed', at: now(), round });
      else throw error;
    }
  }

  async #evaluate(effect: EvaluateEffect): Promise<void> {
    const { evaluate, now } = this.#components;
    const { round, candidate } = effect;
    try {
      const figures = await evaluate(effect, this.#stop.signal);
      this.feed({ type: 'evaluated', at: now(), round, candidate, figures });
    } catch (error) {
      if (!isPrefmeshError(error, 'LOG_PROBS_NOT_FINITE')) throw error;
      this.feed({ type: 'evaluation-failed', at: now(), round, candidate });
    }
  }

  #confirmAndPublish(ended: EndedRound): void {
    const { beforePublishing } = this.#components;
    if (beforePublishing === undefined) return this.#publish(ended);
    this.#work(`publish ${ended.round}`, async () => {
      await beforePublishing(this.#stop.signal);
      this.#publish(ended);
    });
  }

  /** Signs the round's receipt, or takes the one that was signed before a crash, and moves on once it is on disk. */
  #publish(ended: EndedRound): void {
    const { federation, identity, ledger, now, onEvent, describe, bytesReceived } = this.#components;
    const signed = ledger.receipt(ended.round);
    if (signed === undefined) {
      const { hash, bytes } = signReceipt(identity, receiptOf(ended, federation));
      ledger.storeReceipt(ended.round, hash, bytes);
    }
    const { hash } = signed ?? ledger.receipt(ended.round)!;
    onEvent({
      event: 'round-closed',
      round: ended.round,
      outcome: ended.phase,
      reason: ended.phase === 'skipped' ? ended.reason : null,
      factor: factorOfRound(ended),
      adapter: ended.phase === 'published' ? ended.candidate : ended.parent,
      receipt: hash,
      updates: ended.accepted.length,
      figures: ended.figures,
      ...describe(ended),
      seconds: (now() - ended.startedAt) / 1000,
      bytesReceived: bytesReceived(),
    });
    this.feed({ type: 'receipt-signed', at: now(), round: ended.round, receipt: hash });
  }

  #announce({ round, phase, receipt }: AnnounceEffect): void {
    const { identity, headers, announce } = this.#components;
    const { bytes } = sealMessage(identity, 'announcement', { ...headers.next(round), phase, receipt });
    // Nobody may be listening; participants poll besides.
    void announce(bytes).catch(() => undefined);
  }

  #tellOfOpening(before: FederationState | undefined, state: FederationState): void {
    if (state.phase !== 'training' && state.phase !== 'collecting') return;
    const alreadyOpen = before?.round === state.round && before.phase !== 'open';
    if (alreadyOpen) return;
    this.#components.onEvent({
      event: 'round-opened',
      round: state.round,
      factor: factorOfRound(state),
      parent: state.parent,
      cohort: state.cohort,
      deadline: state.deadline,
    });
  }

  #setAlarm(): void {
    this.#alarm?.[Symbol.dispose]();
    const at = nextTick(this.#state);
    if (at === null || this.#stop.signal.aborted) return;
    const { alarm, now } = this.#components;
    this.#alarm = alarm(at, () => this.feed({ type: 'tick', at: now() }));
  }
}

/** Whose message an event is; undefined for what comes of itself. */
function senderOf(event: RoundEvent): ParticipantId | undefined {
  if ('participant' in event) return event.participant;
  return 'offer' in event ? event.offer.sender : undefined;
}

/** An accepted update's blob is gone, and nobody has it. */
export class LostUpdate extends Error {
  override readonly name = 'LostUpdate';
  readonly blob: Sha256;

  constructor(blob: Sha256, cause: unknown) {
    super(`update ${blob} is lost`, { cause });
    this.blob = blob;
  }
}
