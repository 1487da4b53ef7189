/**
 * The loop that a participant lives in.
 *
 * Each turn of it starts from what is on disk and from what the aggregator says now: verify and adopt what was
 * published, make the update of the round that runs unless it is made already, offer it unless it is acknowledged,
 * wait. So there is no difference between a start, a restart after a crash, and going on.
 */
import { ruleByName } from '../../protocol/aggregation/rules.ts';
import { PrefmeshError, isPrefmeshError } from '../../protocol/errors.ts';
import type { ErrorCode } from '../../protocol/errors.ts';
import { pairsBucket } from '../../protocol/messages.ts';
import type { Payload } from '../../protocol/messages.ts';
import type { ParticipantId } from '../../protocol/identity.ts';
import { roundNumber } from '../../protocol/names.ts';
import type { RoundNumber, Sha256 } from '../../protocol/names.ts';
import { tableHash } from '../../protocol/tensorBlob.ts';
import type { TensorShape } from '../../protocol/tensorBlob.ts';
import { factorTable } from '../../protocol/update.ts';
import type { Clock } from '../clock.ts';
import type { Blobs } from '../storage/blobs.ts';
import { acknowledgers } from './acknowledgers.ts';
import type { AggregatorLink } from './aggregatorLink.ts';
import type { ReceiptChain } from './receiptChain.ts';
import type { ParticipantEvent } from './events.ts';
import type { MadeUpdate, RoundToTrain } from './roundWork.ts';
import type { Membership, OwnUpdate, ParticipantStore } from './store.ts';
import type { Waiting } from './waiting.ts';

type RoundTerms = Payload<'round-terms'>;

export interface LifeComponents {
  readonly federation: Sha256;
  readonly membership: Membership;
  readonly store: ParticipantStore;
  readonly blobs: Pick<Blobs, 'verify'>;
  readonly link: AggregatorLink;
  readonly chain: ReceiptChain;
  readonly waiting: Waiting;
  readonly clock: Pick<Clock, 'now'>;
  /** The tensors of the whole adapter. */
  readonly table: readonly TensorShape[];
  /** Makes the round's update and stores it durably. The same round gives the same update. */
  readonly train: (round: RoundToTrain, signal: AbortSignal) => Promise<MadeUpdate>;
  /** Where the adapter in use lies; null before the first. */
  readonly currentAdapter: () => string | null;
  readonly onEvent: (event: ParticipantEvent) => void;
}

export class Life {
  readonly #components: LifeComponents;
  readonly #signal: AbortSignal;
  /** Whether the aggregator counts this node in, as far as is known here. */
  #member = false;
  #paused = false;
  /** What kept it from going on at the last attempt. */
  #trouble: ErrorCode | undefined;

  constructor(components: LifeComponents, signal: AbortSignal) {
    this.#components = components;
    this.#signal = signal;
  }

  /** Resolves when no round is left, or the person has left; rejects when the node cannot or must not go on. */
  async live(): Promise<void> {
    const { federation, store, waiting, onEvent } = this.#components;
    for (;;) {
      this.#signal.throwIfAborted();
      try {
        const status = store.status(federation);
        if (status === 'leaving' || status === 'left') return await this.#leave();
        if (status === 'paused') await this.#pause();
        else if ((await this.#turn()) === 'over') return;
        waiting.relax();
      } catch (error) {
        if (!isTransient(error)) throw error;
        if (error.details.code === 'KEY_REVOKED') await this.#checkOwnKey();
        // An aggregator that does not know this node any more has begun anew, or has let it go.
        if (error.details.code === 'NOT_ADMITTED') this.#member = false;
        onEvent({ event: 'retrying', code: error.code, problem: error.message });
        this.#note(error);
        waiting.strain();
      }
      await waiting.wait(this.#signal);
    }
  }

  /** Writes down what keeps the node from going on: once, not at every attempt. */
  #note({ code, message: problem, fix }: PrefmeshError): void {
    if (this.#trouble === code) return;
    this.#trouble = code;
    const { federation, store, clock } = this.#components;
    store.setTrouble(federation, { code, problem, fix, since: clock.now() });
  }

  /** Takes the node out of the cohort, so that no round waits for it. */
  async #pause(): Promise<void> {
    if (this.#paused) return;
    if (this.#member) await this.#tellOfLeaving();
    this.#member = false;
    this.#paused = true;
    this.#components.onEvent({ event: 'paused' });
  }

  async #becomeMember(): Promise<void> {
    const { federation, membership, link, onEvent } = this.#components;
    const { invite, pairs } = membership;
    const body = { invite, pairsBucket: pairsBucket(pairs.count) };
    const answer = await link.ask('join', roundNumber(0), body, ['joined', 'acknowledgement'], {
      signal: this.#signal,
    });
    if (answer.type === 'acknowledgement') {
      if (answer.payload.code === 'KEY_REVOKED') await this.#components.chain.checkOwnKey(this.#signal);
      throw new PrefmeshError('JOIN_REFUSED', { federation, code: answer.payload.code ?? 'UNEXPECTED' });
    }
    this.#member = true;
    onEvent({ event: 'member', federation });
  }

  /** Ends the node where its key was revoked; an aggregator that only says so is asked again later. */
  async #checkOwnKey(): Promise<void> {
    try {
      await this.#components.chain.checkOwnKey(this.#signal);
    } catch (error) {
      if (!isTransient(error)) throw error;
    }
  }

  /** One look at the federation, and what follows from it. */
  async #turn(): Promise<'on' | 'over'> {
    const { federation, store, link, clock } = this.#components;
    this.#paused = false;
    if (!this.#member) await this.#becomeMember();
    const terms = await this.#ask();
    await this.#follow(terms);
    this.#checkTerms(terms);
    store.setStanding(federation, {
      round: terms.round,
      phase: terms.phase,
      aggregator: link.current!,
      heardAt: clock.now(),
    });
    this.#trouble = undefined;
    if (terms.phase === 'finished') return this.#finish();
    if (isCollecting(terms)) await this.#takePart(terms);
    return 'on';
  }

  async #ask(): Promise<RoundTerms> {
    const { link, chain, waiting } = this.#components;
    const { payload } = await link.ask('round-query', chain.round, {}, ['round-terms'], { signal: this.#signal });
    waiting.told(payload);
    return payload;
  }

  /** Verifies and adopts what was published. Throws OTHER_HISTORY; what `followTo` throws. */
  async #follow({ round, phase }: RoundTerms): Promise<void> {
    const { chain } = this.#components;
    try {
      await chain.followTo(phase === 'finished' ? round : previous(round), this.#signal);
    } catch (error) {
      if (!this.#oneOfSeveral || !isPrefmeshError(error, 'BROKEN_CHAIN')) throw error;
      throw new PrefmeshError(
        'OTHER_HISTORY',
        { aggregator: this.#passOver(), verified: chain.round },
        { cause: error },
      );
    }
  }

  get #oneOfSeveral(): boolean {
    return this.#components.membership.federation.content.aggregators.length > 1;
  }

  /** Turns to the next aggregator; returns the one that was asked last. */
  #passOver(): ParticipantId {
    const { link } = this.#components;
    const aggregator = link.current!;
    link.passOver(aggregator);
    return aggregator;
  }

  /**
   * Throws TERMS_REFUSED unless the round goes on from what was verified here, in the way that the manifest says. One
   * of several aggregators that is behind, or goes on from another history, is passed over: AGGREGATOR_BEHIND,
   * OTHER_HISTORY.
   */
  #checkTerms({ round, phase, parent, receipt, factor }: RoundTerms): void {
    const { chain, membership } = this.#components;
    const verified = chain.round;
    if (this.#oneOfSeveral && (round < verified || (round === verified && phase !== 'finished'))) {
      throw new PrefmeshError('AGGREGATOR_BEHIND', { aggregator: this.#passOver(), round, verified });
    }
    if (this.#oneOfSeveral && receipt !== chain.receipt) {
      throw new PrefmeshError('OTHER_HISTORY', { aggregator: this.#passOver(), verified });
    }
    const demand = (holds: boolean, problem: string) => {
      if (!holds) throw new PrefmeshError('TERMS_REFUSED', { problem });
    };
    const { rule } = membership.federation.content.aggregation;
    demand(round === (phase === 'finished' ? chain.round : chain.round + 1), `round ${round} after ${chain.round}`);
    demand(parent === chain.adapter, `parent ${parent}, not ${chain.adapter}`);
    demand(receipt === chain.receipt, `receipt ${receipt}, not ${chain.receipt}`);
    demand(factor === ruleByName(rule).factorOf(round), `factor ${factor}`);
  }

  /** Makes the round's update, unless it is on disk, and offers it, unless it is answered. */
  async #takePart(terms: RoundTerms): Promise<void> {
    const { federation, store, onEvent } = this.#components;
    const { round } = terms;
    if (!terms.asked) return;
    const stored = store.update(federation, round);
    if (stored === undefined) {
      const made = await this.#make(terms);
      if (made === undefined) return;
      store.recordUpdate(federation, { round, factor: terms.factor, parent: terms.parent, ...made });
    } else if (stored.status === 'made') {
      if (!(await this.#isWhole(stored.blob))) return this.#mend(stored, terms);
      onEvent({ event: 'resumed', round, blob: stored.blob });
    }
    const update = store.update(federation, round)!;
    if (update.status === 'made' || this.#wasToldAnother(update)) await this.#offer(update, terms);
  }

  /** Whether the update was accepted by another aggregator than the one that runs the round now. */
  #wasToldAnother({ round, status }: OwnUpdate): boolean {
    const { federation, membership, store, link } = this.#components;
    if (status !== 'accepted' || membership.federation.content.aggregators.length === 1) return false;
    return !acknowledgers(store, federation, round).includes(link.current!);
  }

  async #isWhole(blob: Sha256): Promise<boolean> {
    try {
      await this.#components.blobs.verify(blob);
      return true;
    } catch (error) {
      if (isPrefmeshError(error, 'BLOB_MISSING') || isPrefmeshError(error, 'BLOB_CORRUPT')) return false;
      throw error;
    }
  }

  /** Trains a damaged update again: the same inputs give the same bytes, and no others may be sent for the round. */
  async #mend({ blob }: OwnUpdate, terms: RoundTerms): Promise<void> {
    const { federation, store, onEvent } = this.#components;
    const made = await this.#make(terms);
    if (made === undefined || made.blob === blob) return;
    store.answerUpdate(federation, terms.round, 'UPDATE_LOST');
    onEvent({ event: 'update-refused', round: terms.round, code: 'UPDATE_LOST' });
  }

  /** Trains, until the update is on disk or the round is heard to be over. */
  async #make(terms: RoundTerms): Promise<MadeUpdate | undefined> {
    const { membership, chain, waiting, train, onEvent } = this.#components;
    const { round, factor, parent } = terms;
    const { steps } = membership.federation.content.training;
    const tensors = await chain.tensors(this.#signal);
    onEvent({ event: 'training', round, factor, parent, steps, deadline: terms.deadline });
    using over = waiting.roundOver(round, this.#signal);
    try {
      return await train({ round, factor, parent: tensors }, over.signal);
    } catch (error) {
      if (this.#signal.aborted || !over.signal.aborted) throw error;
      onEvent({ event: 'update-refused', round, code: 'ROUND_CLOSED' });
      return undefined;
    }
  }

  async #offer({ round, factor, parent, blob, bytes }: OwnUpdate, terms: RoundTerms): Promise<void> {
    const { federation, membership, store, link, table, onEvent } = this.#components;
    const bits = membership.federation.content.update.fixedPointBits;
    const ascending = table.toSorted((a, b) => (a.name < b.name ? -1 : 1));
    const body = {
      factor,
      parent,
      blob,
      bytes,
      table: tableHash(factorTable(ascending, terms.factor), bits),
      pairsBucket: pairsBucket(membership.pairs.count),
    };
    const answer = await link.ask('update', round, body, ['acknowledgement'], {
      signal: this.#signal,
      beforeSending: (envelope) => store.recordOffer(federation, round, envelope),
    });
    const { payload, bytes: acknowledgement } = answer;
    if (payload.code === 'BLOB_UNAVAILABLE') throw new PrefmeshError('BLOB_UNAVAILABLE', { hash: blob });
    const code = payload.verdict === 'accepted' ? null : ((payload.code ?? 'UNEXPECTED') as ErrorCode);
    store.answerUpdate(federation, round, code, { offer: payload.request, acknowledgement });
    if (code !== null) return onEvent({ event: 'update-refused', round, code });
    store.countBytes(federation, bytes, 0);
    onEvent({ event: 'update-accepted', round, blob, bytesSent: bytes });
  }

  /** Tells the aggregator that the last adapter is here, so that it need not stay for this node. */
  async #finish(): Promise<'over'> {
    const { federation, store, chain, currentAdapter, onEvent } = this.#components;
    await this.#ask();
    const { bytesSent, bytesReceived } = store.membership(federation)!;
    onEvent({
      event: 'finished',
      rounds: chain.round,
      adapter: chain.adapter,
      folder: currentAdapter(),
      bytesSent,
      bytesReceived,
    });
    return 'over';
  }

  async #leave(): Promise<void> {
    const { federation, store, onEvent } = this.#components;
    await this.#tellOfLeaving();
    store.setStatus(federation, 'left');
    onEvent({ event: 'left', federation });
  }

  async #tellOfLeaving(): Promise<void> {
    const { link, chain } = this.#components;
    await link.ask('leave', chain.round, {}, ['acknowledgement'], { signal: this.#signal });
  }
}

/** What the network does to everybody now and then, and what an aggregator in the middle of a restart answers. */
function isTransient(error: unknown): error is PrefmeshError {
  if (!isPrefmeshError(error)) return false;
  if (error.code === 'BLOB_UNAVAILABLE') return true;
  if (error.code !== 'PEER_REFUSED') return error.exitCode === 4;
  // A blob that is damaged or gone at the aggregator may be there again after a restart of it.
  const passing = ['RATE_LIMITED', 'NOT_ADMITTED', 'REPLAYED', 'UNEXPECTED', 'BLOB_MISSING', 'BLOB_CORRUPT'];
  return [...passing, 'AGGREGATOR_STANDS_BY', 'KEY_REVOKED'].includes(String(error.details.code));
}

function isCollecting({ phase }: RoundTerms): boolean {
  return phase === 'training' || phase === 'collecting';
}

function previous(round: RoundNumber): RoundNumber {
  return roundNumber(Math.max(0, round - 1));
}
