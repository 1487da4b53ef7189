/**
 * The node's life in a federation: become a member, follow its rounds, take part in them, adopt what verifies.
 *
 * One loop, and each turn of it starts from what is on disk and what the aggregator says now: verify and adopt what
 * was published, make the update of the round that runs unless it is made already, offer it unless it is
 * acknowledged, wait. So there is no difference between a start, a restart after a crash, and going on.
 *
 * Announcements only shorten the wait. What counts is the aggregator's signed answer, and of that only what follows
 * from the manifest and from the last receipt that was verified here.
 *
 * @example
 * await using participant = await Participant.start({ home, network: 'local', seed: 7, ... });
 * await participant.finished;
 */
import type { Logger } from 'pino';
import { ruleByName } from '../protocol/aggregation/rules.ts';
import { PrefmeshError, isPrefmeshError } from '../protocol/errors.ts';
import type { ErrorCode } from '../protocol/errors.ts';
import type { Identity, ParticipantId } from '../protocol/identity.ts';
import { pairsBucket } from '../protocol/messages.ts';
import type { Payload } from '../protocol/messages.ts';
import { roundNumber } from '../protocol/names.ts';
import type { RoundNumber, Sha256 } from '../protocol/names.ts';
import { tableHash } from '../protocol/tensorBlob.ts';
import { factorTable } from '../protocol/update.ts';
import { Announcements } from './network/announcements.ts';
import type { Verdict } from './network/announcements.ts';
import { BlobClient } from './network/blob/client.ts';
import { BlobServer } from './network/blob/server.ts';
import { FederationClient } from './network/federation/client.ts';
import { Host } from './network/host.ts';
import type { PresetName } from './network/presets.ts';
import { federationAdapters, currentAdapter } from './participant/adapterFolders.ts';
import { AggregatorLink } from './participant/aggregatorLink.ts';
import { openBaseModel, openFederationPolicy } from './participant/baseModel.ts';
import type { ComputeOptions } from './participant/baseModel.ts';
import type { ParticipantEvent } from './participant/events.ts';
import { openPairsFile, tokenized } from './participant/pairsFile.ts';
import { ReceiptChain } from './participant/receiptChain.ts';
import type { VerifyMode } from './participant/receiptChain.ts';
import { makeUpdate } from './participant/roundWork.ts';
import type { RoundWorkComponents } from './participant/roundWork.ts';
import { ParticipantStore } from './participant/store.ts';
import type { Membership, OwnUpdate } from './participant/store.ts';
import { Waiting } from './participant/waiting.ts';
import { BlobStore } from './storage/blobs.ts';
import { DataFolder } from './storage/dataFolder.ts';
import { openIdentity } from './storage/keys.ts';
import { referenceLogProbs } from './training/referenceCache.ts';
import { distinguishable } from './training/tokenization.ts';

export interface ParticipantOptions {
  /** The data folder. */
  readonly home: string;
  /** Which of the joined federations; the only one when absent. */
  readonly federation?: Sha256 | undefined;
  readonly network: PresetName;
  readonly listen?: readonly string[] | undefined;
  /** Multiaddrs to enter the network by, besides those that came with the ticket. */
  readonly bootstrap?: readonly string[] | undefined;
  readonly compute: Omit<ComputeOptions, 'cacheFolder'>;
  /** Decides the order of pairs in each round. */
  readonly seed: number;
  readonly verify: VerifyMode;
  readonly log: Logger;
  readonly onEvent: (event: ParticipantEvent) => void;
  readonly signal?: AbortSignal | undefined;
}

type RoundTerms = Payload<'round-terms'>;

interface Components extends Omit<RoundWorkComponents, 'manifest' | 'blobs'> {
  readonly identity: Identity;
  readonly federation: Sha256;
  readonly membership: Membership;
  readonly store: ParticipantStore;
  readonly blobs: BlobStore;
  readonly link: AggregatorLink;
  readonly chain: ReceiptChain;
  readonly waiting: Waiting;
  readonly adapters: string;
}

export class Participant implements AsyncDisposable {
  readonly id: ParticipantId;
  /**
   * Resolves when the federation has no round left and its last adapter is adopted, or the person has left; rejects
   * when the node cannot or must not go on.
   */
  readonly finished: Promise<void>;
  readonly #stop: AbortController;
  readonly #resources: AsyncDisposableStack;

  private constructor(id: ParticipantId, finished: Promise<void>, stop: AbortController, stack: AsyncDisposableStack) {
    this.id = id;
    this.finished = finished;
    this.#stop = stop;
    this.#resources = stack;
  }

  /**
   * Opens everything and begins to take part.
   *
   * @throws HOME_LOCKED, NOT_JOINED, SEVERAL_FEDERATIONS, PAIRS_CHANGED, BASE_MODEL_MISMATCH, PORT_BUSY,
   *   BOOTSTRAP_UNREACHABLE
   */
  static async start(options: ParticipantOptions): Promise<Participant> {
    const { onEvent, signal, seed } = options;
    await using stack = new AsyncDisposableStack();
    const folder = stack.use(await DataFolder.open(options.home));
    const identity = await openIdentity(folder);
    const store = stack.use(ParticipantStore.open(folder.paths.database));
    const membership = chooseMembership(store, options.home, options.federation);
    const { federation: opened } = membership;
    const { content: manifest, hash: federation } = opened;
    const blobs = await BlobStore.open(folder.paths.blobs);

    const checkpoint = await openBaseModel(manifest, membership.model ?? undefined, options.home);
    const pairs = await openMembersPairs(membership, checkpoint);
    const compute = { ...options.compute, cacheFolder: folder.paths.cache };
    const { policy, table } = await openFederationPolicy(manifest, checkpoint, compute);
    stack.use(policy);
    const device = options.compute.device ?? 'cpu';
    const reference = await referenceLogProbs(
      policy,
      pairs,
      { base: checkpoint.hash, adapter: null, device },
      { cacheFolder: folder.paths.cache, ...(signal && { signal }) },
    );

    const { network, listen, log } = options;
    const host = stack.use(
      await Host.start(identity, { preset: network, role: 'participant', log, ...(listen && { listen }) }),
    );
    const link = new AggregatorLink({
      federation: opened,
      identity,
      host,
      client: new FederationClient(host),
      now: Date.now,
      onFound: (aggregator, through) => onEvent({ event: 'aggregator-found', aggregator, through }),
    });
    const waiting = new Waiting();
    stack.use(
      new Announcements(host, {
        federation,
        validate: (envelope) => hear(envelope, link, waiting),
        onAnnouncement: () => {}, // all that it is good for was done when it was judged
      }),
    );
    const isOwnUpdate = (hash: Sha256) => store.updates(federation).some(({ blob }) => blob === hash);
    stack.use(
      await BlobServer.start(
        { host, store: blobs },
        { mayRead: (hash, peer) => link.isAggregator(peer) && isOwnUpdate(hash) },
      ),
    );
    for (const address of [...(options.bootstrap ?? []), ...membership.addresses]) host.hold(address);
    await host.ready(signal ? { signal } : {});
    onEvent({ event: 'started', id: host.id, federation, addresses: host.addresses, pairs: pairs.length });

    const adapters = federationAdapters(folder.paths.adapters, federation);
    const client = new BlobClient({ host, store: blobs });
    const chain = new ReceiptChain({
      federation: opened,
      id: identity.id,
      store,
      blobs,
      client,
      link,
      table,
      folder: adapters,
      verify: options.verify,
      onEvent,
    });
    const stop = new AbortController();
    const life = new Life(
      // prettier-ignore
      { identity, federation, membership, store, blobs, link, chain, waiting, adapters, policy, table, pairs, reference, seed, onEvent },
      stop.signal,
    );
    const finished = life.live();
    finished.catch(() => undefined); // whoever asks for it hears of it
    return new Participant(identity.id, finished, stop, stack.move());
  }

  /** Ends every connection; what is on disk is where the next start goes on from. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort();
    await this.finished.catch(() => undefined);
    await this.#resources.disposeAsync();
  }
}

/** The loop, and what one turn of it does. */
class Life {
  readonly #components: Components;
  readonly #signal: AbortSignal;

  constructor(components: Components, signal: AbortSignal) {
    this.#components = components;
    this.#signal = signal;
  }

  async live(): Promise<void> {
    const { waiting, onEvent } = this.#components;
    let member = false;
    for (;;) {
      this.#signal.throwIfAborted();
      try {
        member = member || (await this.#becomeMember());
        if ((await this.#turn()) === 'over') return;
        waiting.relax();
      } catch (error) {
        if (!isTransient(error)) throw error;
        // An aggregator that does not know this node any more has begun anew, or let it go for being silent.
        if (error.details.code === 'NOT_ADMITTED') member = false;
        onEvent({ event: 'retrying', code: error.code, problem: error.message });
        waiting.strain();
      }
      await waiting.wait(this.#signal);
    }
  }

  async #becomeMember(): Promise<true> {
    const { federation, membership, link, onEvent } = this.#components;
    const { invite, pairs } = membership;
    const body = { invite, pairsBucket: pairsBucket(pairs.count) };
    const answer = await link.ask('join', roundNumber(0), body, ['joined', 'acknowledgement'], {
      signal: this.#signal,
    });
    if (answer.type === 'acknowledgement') {
      throw new PrefmeshError('JOIN_REFUSED', { federation, code: answer.payload.code ?? 'UNEXPECTED' });
    }
    onEvent({ event: 'member', federation });
    return true;
  }

  /** One look at the federation, and what follows from it. */
  async #turn(): Promise<'on' | 'over'> {
    const { federation, store, link, chain, onEvent } = this.#components;
    const status = store.membership(federation)!.status;
    if (status === 'leaving' || status === 'left') return this.#leave();

    const terms = await this.#ask();
    await chain.followTo(terms.phase === 'finished' ? terms.round : previous(terms.round), this.#signal);
    this.#checkTerms(terms);
    store.setStanding(federation, {
      round: terms.round,
      phase: terms.phase,
      aggregator: link.current!,
      heardAt: Date.now(),
    });
    if (terms.phase === 'finished') return this.#finish();
    if (status === 'paused') onEvent({ event: 'paused' });
    else if (isCollecting(terms)) await this.#takePart(terms);
    return 'on';
  }

  async #ask(): Promise<RoundTerms> {
    const { link, chain } = this.#components;
    const { payload } = await link.ask('round-query', chain.round, {}, ['round-terms'], { signal: this.#signal });
    return payload;
  }

  /** Throws TERMS_REFUSED unless the round goes on from what was verified here, in the way that the manifest says. */
  #checkTerms({ round, phase, parent, receipt, factor }: RoundTerms): void {
    const { chain, membership } = this.#components;
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
    const { identity, federation, store, onEvent } = this.#components;
    const { round } = terms;
    if (!terms.cohort.includes(identity.id)) return;
    let update = store.update(federation, round);
    if (update === undefined) {
      update = await this.#make(terms);
      if (update === undefined) return;
    } else if (update.status === 'made') {
      onEvent({ event: 'resumed', round, blob: update.blob });
    }
    if (update.status === 'made') await this.#offer(update, terms);
  }

  /** Trains, until the update is on disk or the round is heard to be over. */
  async #make(terms: RoundTerms): Promise<OwnUpdate | undefined> {
    const { federation, membership, store, blobs, chain, waiting, onEvent, ...work } = this.#components;
    const { round, factor, parent } = terms;
    const manifest = membership.federation.content;
    const { steps } = manifest.training;
    onEvent({ event: 'training', round, factor, parent, steps, deadline: terms.deadline });
    const tensors = await chain.tensors(this.#signal);
    using over = waiting.roundOver(round, this.#signal);
    try {
      const made = await makeUpdate(
        { round, factor, parent: tensors },
        { ...work, manifest, blobs, onEvent },
        over.signal,
      );
      store.recordUpdate(federation, { round, factor, parent, ...made });
      return store.update(federation, round);
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
    const { payload } = await link.ask('update', round, body, ['acknowledgement'], {
      signal: this.#signal,
      beforeSending: (envelope) => store.recordOffer(federation, round, envelope),
    });
    if (payload.code === 'BLOB_UNAVAILABLE') throw new PrefmeshError('BLOB_UNAVAILABLE', { hash: blob });
    const code = payload.verdict === 'accepted' ? null : ((payload.code ?? 'UNEXPECTED') as ErrorCode);
    store.answerUpdate(federation, round, code);
    if (code !== null) return onEvent({ event: 'update-refused', round, code });
    store.countBytes(federation, bytes, 0);
    onEvent({ event: 'update-accepted', round, blob, bytesSent: bytes });
  }

  /** Tells the aggregator that the last adapter is here, so that it need not stay for this node. */
  async #finish(): Promise<'over'> {
    const { federation, store, chain, adapters, onEvent } = this.#components;
    await this.#ask();
    const { bytesSent, bytesReceived } = store.membership(federation)!;
    onEvent({
      event: 'finished',
      rounds: chain.round,
      adapter: chain.adapter,
      folder: currentAdapter(adapters),
      bytesSent,
      bytesReceived,
    });
    return 'over';
  }

  async #leave(): Promise<'over'> {
    const { federation, store, link, chain, onEvent } = this.#components;
    await link.ask('leave', chain.round, {}, ['acknowledgement'], { signal: this.#signal });
    store.setStatus(federation, 'left');
    onEvent({ event: 'left', federation });
    return 'over';
  }
}

/** The membership that a node was started for. Throws NOT_JOINED, SEVERAL_FEDERATIONS. */
export function chooseMembership(store: ParticipantStore, folder: string, federation?: Sha256): Membership {
  const joined = store.memberships().filter(({ status }) => status !== 'left');
  const chosen = federation === undefined ? joined : joined.filter((each) => each.federation.hash === federation);
  const [membership, ...others] = chosen;
  if (membership === undefined) {
    throw new PrefmeshError('NOT_JOINED', {
      folder,
      which: federation ? `in federation ${federation}` : 'in any federation',
    });
  }
  if (others.length > 0) {
    const federations = chosen.map((each) => `${each.federation.hash} (${each.federation.content.name})`).join(', ');
    throw new PrefmeshError('SEVERAL_FEDERATIONS', { federations });
  }
  return membership;
}

/** The pairs that the person joined with, as tokens from which something can be learnt. Throws PAIRS_CHANGED. */
async function openMembersPairs({ pairs, federation }: Membership, checkpoint: Parameters<typeof openPairsFile>[1]) {
  const { sha256: hash, pairs: read } = await openPairsFile(pairs.file, checkpoint);
  if (hash !== pairs.sha256) {
    throw new PrefmeshError('PAIRS_CHANGED', { file: pairs.file, hash, expected: pairs.sha256 });
  }
  return distinguishable(await tokenized(read, checkpoint, federation.content.training.maxLength));
}

/** Judges an announcement, and lets what it says end a wait. */
function hear(envelope: Uint8Array, link: AggregatorLink, waiting: Waiting): Verdict {
  try {
    const { payload } = link.openAnnouncement(envelope);
    waiting.hear(payload.round, payload.phase);
    return 'accept';
  } catch (error) {
    const stale = ['EXPIRED', 'REPLAYED', 'NOT_YET_VALID'] as const;
    return stale.some((code) => isPrefmeshError(error, code)) ? 'ignore' : 'reject';
  }
}

/** What the network does to everybody now and then, and what an aggregator in the middle of a restart answers. */
function isTransient(error: unknown): error is PrefmeshError {
  if (!isPrefmeshError(error)) return false;
  if (error.code === 'BLOB_UNAVAILABLE') return true;
  if (error.code !== 'PEER_REFUSED') return error.exitCode === 4;
  return ['RATE_LIMITED', 'NOT_ADMITTED', 'REPLAYED', 'UNEXPECTED'].includes(String(error.details.code));
}

function isCollecting({ phase }: RoundTerms): boolean {
  return phase === 'training' || phase === 'collecting';
}

function previous(round: RoundNumber): RoundNumber {
  return roundNumber(Math.max(0, round - 1));
}
