/**
 * The node's part in a federation: its data folder, its pairs, a host on the network and a model to train, and the
 * life (`participant/life.ts`) that goes on between them: become a member, follow the rounds, take part in them, adopt
 * what verifies.
 *
 * Announcements only shorten its waits. What counts is the aggregator's signed answer, and of that only what follows
 * from the manifest and from the last receipt that was verified here.
 *
 * @example
 * await using participant = await Participant.start({ home, network: 'local', seed: 7, ... });
 * await participant.finished;
 */
import type { Logger } from 'pino';
import { PrefmeshError, isPrefmeshError } from '../protocol/errors.ts';
import type { ParticipantId } from '../protocol/identity.ts';
import type { OpenedManifest } from '../protocol/manifest.ts';
import type { Sha256 } from '../protocol/names.ts';
import { checkLater, openRevocations } from '../protocol/revocations.ts';
import { systemClock } from './clock.ts';
import type { Checkpoint } from './model/checkpoint.ts';
import { Announcements } from './network/announcements.ts';
import type { Verdict } from './network/announcements.ts';
import { BlobClient } from './network/blob/client.ts';
import { BlobServer } from './network/blob/server.ts';
import { findProviders } from './network/discovery.ts';
import { FederationClient } from './network/federation/client.ts';
import { Host } from './network/host.ts';
import type { PresetName } from './network/presets.ts';
import { adoptAdapter, currentAdapter, federationAdapters } from './participant/adapterFolders.ts';
import { AggregatorLink } from './participant/aggregatorLink.ts';
import { openBaseModel, openFederationPolicy } from './participant/baseModel.ts';
import type { ComputeOptions } from './participant/baseModel.ts';
import type { ParticipantEvent } from './participant/events.ts';
import { readRevocationsFile } from './participant/federationFile.ts';
import { Life } from './participant/life.ts';
import { openPairsFile, trainablePairs } from './participant/pairsFile.ts';
import { ReceiptChain } from './participant/receiptChain.ts';
import type { VerifyMode } from './participant/receiptChain.ts';
import { verifyRound } from './participant/roundVerification.ts';
import { makeUpdate } from './participant/roundWork.ts';
import { ParticipantStore } from './participant/store.ts';
import type { Membership } from './participant/store.ts';
import { Waiting } from './participant/waiting.ts';
import { BlobStore } from './storage/blobs.ts';
import { DataFolder } from './storage/dataFolder.ts';
import { openIdentity } from './storage/keys.ts';
import { referenceLogProbs } from './training/referenceCache.ts';
import type { TokenizedPair } from './training/policy.ts';

export interface ParticipantOptions {
  /** The data folder. */
  readonly home: string;
  /** Which of the joined federations; the only one when absent. */
  readonly federation?: Sha256 | undefined;
  readonly network: PresetName;
  readonly listen?: readonly string[] | undefined;
  readonly announce?: readonly string[] | undefined;
  /** Multiaddrs to enter the network by, besides those that came with the ticket. */
  readonly bootstrap?: readonly string[] | undefined;
  readonly compute: Omit<ComputeOptions, 'cacheFolder'>;
  /** Decides the order of pairs in each round. */
  readonly seed: number;
  readonly verify: VerifyMode;
  /** A file with the owner's newest list of revocations. */
  readonly revocations?: string | undefined;
  readonly log: Logger;
  readonly onEvent: (event: ParticipantEvent) => void;
  readonly signal?: AbortSignal | undefined;
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
   * @throws HOME_LOCKED, NOT_JOINED, SEVERAL_FEDERATIONS, REVOCATIONS_STALE, PAIRS_CHANGED, BASE_MODEL_MISMATCH, PORT_BUSY,
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
    if (options.revocations !== undefined) await rememberRevocations(options.revocations, opened, store);
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

    const { network, listen, announce, log } = options;
    const host = stack.use(
      await Host.start(identity, {
        preset: network,
        role: 'participant',
        log,
        ...(listen && { listen }),
        ...(announce && { announce }),
      }),
    );
    const link = new AggregatorLink({
      federation: opened,
      identity,
      host,
      client: new FederationClient(host),
      providers: (each) => findProviders(host, federation, each),
      clock: systemClock,
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
    // An aggregator whose disk has damaged the adapter gets it back.
    const isAdopted = (hash: Sha256) => store.lastReceipt(federation)?.content.output === hash;
    stack.use(
      await BlobServer.start(
        { host, store: blobs },
        { mayRead: (hash, peer) => link.isAggregator(peer) && (isOwnUpdate(hash) || isAdopted(hash)) },
      ),
    );
    for (const address of [...(options.bootstrap ?? []), ...membership.addresses]) host.hold(address);
    await host.ready(signal ? { signal } : {});
    onEvent({ event: 'started', id: host.id, federation, addresses: host.addresses, pairs: pairs.length });

    const adapters = federationAdapters(folder.paths.adapters, federation);
    const client = new BlobClient({ host, store: blobs });
    const chain = new ReceiptChain({
      federation: opened,
      identity,
      store,
      blobs,
      client,
      link,
      clock: systemClock,
      verify: options.verify,
      verifyRound: ({ recompute, ...task }, size, each) =>
        verifyRound({ ...task, blobs: recompute ? blobs.folder : null }, size, each),
      adopt: (receipt, tensors) => adoptAdapter(adapters, { federation: opened, receipt, tensors, table }),
      onEvent,
    });
    const stop = new AbortController();
    const training = { manifest, policy, table, pairs, reference, blobs, seed, onEvent };
    const life = new Life(
      {
        federation,
        membership,
        store,
        blobs,
        link,
        chain,
        waiting,
        clock: systemClock,
        table,
        train: (round, over) => makeUpdate(round, training, over),
        currentAdapter: () => currentAdapter(adapters),
        onEvent,
      },
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

/** The pairs that the person joined with. Throws PAIRS_CHANGED. */
async function openMembersPairs({ pairs, federation }: Membership, checkpoint: Checkpoint): Promise<TokenizedPair[]> {
  const read = await openPairsFile(pairs.file, checkpoint);
  if (read.sha256 !== pairs.sha256) {
    throw new PrefmeshError('PAIRS_CHANGED', { file: pairs.file, hash: read.sha256, expected: pairs.sha256 });
  }
  return trainablePairs(read, checkpoint, federation.content.training.maxLength);
}

/** Takes the owner's list from a file. Throws REVOCATIONS_STALE for one that is older than what is known here. */
async function rememberRevocations(file: string, federation: OpenedManifest, store: ParticipantStore): Promise<void> {
  const list = await readRevocationsFile(file, federation);
  const known = store.revocations(federation.hash);
  checkLater(known && openRevocations(known, federation), list);
  store.recordRevocations(federation.hash, list);
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
