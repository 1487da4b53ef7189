/**
 * The aggregator as a running process: a data folder, a host on the network, a model to measure with, and the rounds
 * of one federation between them.
 *
 * @example
 * await using aggregator = await Aggregator.start({ home, federation, listen, evaluationPairs, rootPairs, ... });
 * await aggregator.finished;
 */
import type { Logger } from 'pino';
import { systemClock } from '../node/clock.ts';
import { Announcements } from '../node/network/announcements.ts';
import { BlobClient } from '../node/network/blob/client.ts';
import { BlobServer } from '../node/network/blob/server.ts';
import { Advertisement } from '../node/network/discovery.ts';
import { FederationClient } from '../node/network/federation/client.ts';
import { FederationServer } from '../node/network/federation/server.ts';
import { Host } from '../node/network/host.ts';
import type { PresetName } from '../node/network/presets.ts';
import { openBaseModel, openFederationPolicy } from '../node/participant/baseModel.ts';
import type { ComputeOptions } from '../node/participant/baseModel.ts';
import { MessageHeaders } from '../node/participant/messageHeaders.ts';
import { readRevocationsFile } from '../node/participant/federationFile.ts';
import { openPairsFile, tokenized } from '../node/participant/pairsFile.ts';
import { BlobStore } from '../node/storage/blobs.ts';
import { DataFolder } from '../node/storage/dataFolder.ts';
import { openIdentity } from '../node/storage/keys.ts';
import type { Checkpoint } from '../node/model/checkpoint.ts';
import { PrefmeshError, isPrefmeshError } from '../protocol/errors.ts';
import type { Identity, ParticipantId } from '../protocol/identity.ts';
import type { OpenedManifest } from '../protocol/manifest.ts';
import type { Sha256 } from '../protocol/names.ts';
import { LIMITS } from '../protocol/limits.ts';
import { checkNotRevoked } from '../protocol/revocations.ts';
import { initialState } from '../protocol/roundState.ts';
import { aggregateBlobs } from './aggregation.ts';
import { Attendance } from './attendance.ts';
import { initialAdapterBlob } from './createFederation.ts';
import type { AggregatorEvent } from './events.ts';
import { Ledger, ledgerFile } from './ledger.ts';
import { evidenceOf, FederationLog } from './log.ts';
import { isOnRecord, mending } from './mending.ts';
import { OtherAggregators } from './otherAggregators.ts';
import { standBy } from './standby.ts';
import { Succession } from './succession.ts';
import { Measurement, tastesOf } from './measurement.ts';
import type { MeasuredSet } from './measurement.ts';
import { Requests } from './requests.ts';
import { Revoking } from './revoking.ts';
import { Rounds } from './rounds.ts';
import { UpdateIntake } from './updateIntake.ts';

export interface AggregatorOptions {
  /** The data folder. */
  readonly home: string;
  readonly federation: OpenedManifest;
  /** The sets that the manifest commits to: files of pairs. */
  readonly evaluationPairs: string;
  readonly rootPairs: string;
  /** The base model, where it is not to be found by the name in the manifest. */
  readonly model?: string | undefined;
  readonly network: PresetName;
  /** Multiaddrs to listen on; by the preset when absent. */
  readonly listen?: readonly string[] | undefined;
  readonly announce?: readonly string[] | undefined;
  /** Other nodes of the network to connect to. */
  readonly bootstrap?: readonly string[] | undefined;
  /** How long nobody must have run the federation before the second aggregator takes over (ms). */
  readonly takeOverAfter?: number | undefined;
  /** A file with the owner's newest list of revocations. */
  readonly revocations?: string | undefined;
  readonly compute: Omit<ComputeOptions, 'cacheFolder'>;
  readonly log: Logger;
  readonly onEvent: (event: AggregatorEvent) => void;
  readonly signal?: AbortSignal | undefined;
}

export class Aggregator implements AsyncDisposable {
  readonly id: ParticipantId;
  /** Multiaddrs that end in the peer id. */
  readonly addresses: readonly string[];
  /**
   * Resolves when all rounds are done and every live member holds the last adapter, or did not fetch it in time;
   * rejects when something failed that the protocol has no answer to.
   */
  readonly finished: Promise<void>;
  readonly #resources: AsyncDisposableStack;

  private constructor(host: Host, finished: Promise<void>, resources: AsyncDisposableStack) {
    this.id = host.id;
    this.addresses = host.addresses;
    this.finished = finished;
    this.#resources = resources;
  }

  /**
   * Opens everything, goes on with the round that the ledger shows, and serves until disposed.
   *
   * @throws HOME_LOCKED, KEY_MISSING, NOT_THE_AGGREGATOR, BASE_MODEL_MISMATCH, PAIR_SET_MISMATCH,
   *   INITIAL_ADAPTER_MISMATCH, PORT_BUSY, LISTEN_FAILED, BOOTSTRAP_UNREACHABLE
   */
  static async start(options: AggregatorOptions): Promise<Aggregator> {
    const { federation, onEvent, signal } = options;
    const manifest = federation.content;
    await using stack = new AsyncDisposableStack();

    const folder = stack.use(await DataFolder.open(options.home));
    const identity = await openAggregatorIdentity(folder, federation);
    const ledger = stack.use(
      Ledger.open(ledgerFile(folder.paths), federation, () => initialState(manifest, Date.now())),
    );
    const blobs = await BlobStore.open(folder.paths.blobs);
    const checkpoint = await openBaseModel(manifest, options.model, options.home);
    await storeInitialAdapter(checkpoint, federation, blobs);
    const compute = { ...options.compute, cacheFolder: folder.paths.cache };
    const { policy, table } = await openFederationPolicy(manifest, checkpoint, compute);
    stack.use(policy);
    const { evaluationSet, rootSet } = await openSets(options, checkpoint);
    const { cacheFolder, device = 'cpu' } = compute;
    const sets = { evaluationSet, rootSet };
    const measurement = new Measurement({ manifest, policy, table, blobs, ledger, ...sets, device, cacheFolder });

    const { network, listen, announce, log } = options;
    const host = stack.use(
      await Host.start(identity, {
        preset: network,
        role: 'aggregator',
        log,
        ...(listen && { listen }),
        ...(announce && { announce }),
      }),
    );
    const announcements = stack.use(
      // The aggregator is who announces; it has nothing to hear, and passes on nothing but its own.
      new Announcements(host, { federation: federation.hash, validate: () => 'ignore', onAnnouncement: () => {} }),
    );

    const headers = new MessageHeaders(federation.hash, Date.now);
    const client = new BlobClient({ host, store: blobs });
    /** What answers participants, once this aggregator runs the rounds. */
    const serving: { rounds?: Rounds; requests?: Requests } = {};
    const isAggregator = (peer: ParticipantId) => manifest.aggregators.some((each) => each.id === peer);
    const revoking = new Revoking({ federation, ledger, rounds: () => serving.rounds, now: Date.now, onEvent });
    if (options.revocations !== undefined) {
      revoking.take((await readRevocationsFile(options.revocations, federation)).bytes);
    }
    const mended = <Made>(work: () => Promise<Made>, stop?: AbortSignal) => mending(work, { ledger, client }, stop);
    const mayRead = async (hash: Sha256, peer: ParticipantId): Promise<boolean> => {
      checkNotRevoked(peer, revoking.newest);
      const { state } = serving.rounds ?? {};
      if (state?.members[peer] === undefined && !isAggregator(peer)) return false;
      // One that was set aside as damaged comes back from those who have it; the server says if it does not.
      const lost = isOnRecord(hash, state, ledger) && !(await blobs.has(hash));
      if (lost) await mended(() => blobs.verify(hash)).catch(() => undefined);
      return true;
    };
    stack.use(await BlobServer.start({ host, store: blobs }, { mayRead }));
    const revoked = () => revoking.newest?.content.participants ?? [];
    const federationLog = new FederationLog(federation, identity, ledger, revoked);
    stack.use(
      await FederationServer.start(host, {
        onMessage: async (envelope, from, { signal: stop }) => {
          const { requests } = serving;
          if (requests === undefined) throw new PrefmeshError('AGGREGATOR_STANDS_BY', {});
          return requests.answer(envelope, from, stop);
        },
        manifest: (id) => (id === federation.hash ? federation.bytes : undefined),
        evidence: (_, number) => evidenceOf(ledger, number),
        log: (_, size) => federationLog.from(size),
        cosign: (_, checkpoint) => federationLog.cosign(checkpoint),
        admission: {
          revocations: (list) => ledger.revocations(list ?? undefined),
          revoke: (list) => revoking.take(list).bytes,
          guests: (asker) => {
            const concerned = asker === manifest.owner || isAggregator(asker);
            if (!concerned) throw new PrefmeshError('NOT_ADMITTED', { sender: asker });
            return ledger.usedInvites().slice(-LIMITS.guests.value);
          },
        },
      }),
    );
    stack.use(new Advertisement(host, federation.hash));
    for (const address of options.bootstrap ?? []) host.hold(address);
    const { id, addresses } = host;
    const { round, phase } = ledger.state;
    onEvent({ event: 'listening', id, federation: federation.hash, addresses, round, phase });
    const others = new OtherAggregators({
      federation,
      identity,
      ledger,
      revoking,
      blobs,
      host,
      client: new FederationClient(host),
      blobClient: client,
      headers,
      now: Date.now,
    });
    const takeOverAfter = options.takeOverAfter ?? LIMITS.takeOverWait.value;
    const standby = { federation, others, clock: systemClock, takeOverAfter, onEvent };
    const succession = new Succession(standby);
    const alone = others.ids.length === 0;
    if (!alone) {
      await host.ready(signal ? { signal } : {});
      await standBy(standby, signal ?? new AbortController().signal);
      onEvent({ event: 'took-over', round: ledger.state.round });
    }

    const intake = new UpdateIntake({
      manifest,
      blobs,
      client,
      readAdapter: (hash, stop) => mended(() => blobs.read(hash), stop),
    });
    const rounds = stack.use(
      new Rounds({
        federation,
        identity,
        ledger,
        headers,
        now: Date.now,
        alarm: systemClock.alarm,
        aggregate: (effect, stop) => mended(() => aggregateBlobs(effect, { manifest, blobs }, stop), stop),
        evaluate: (effect, stop) => mended(() => measurement.ofRound(effect, stop), stop),
        ...(!alone && { beforePublishing: (stop: AbortSignal) => succession.confirm(stop) }),
        announce: (envelope) => announcements.publish(envelope),
        describe: ({ candidate }) => {
          const measured = candidate === null ? undefined : measurement.known(candidate);
          return { accuracy: measured?.accuracy ?? null, byTaste: measured?.byTaste ?? {} };
        },
        bytesReceived: () => intake.bytesReceived,
        onEvent,
      }),
    );
    const attendance = stack.use(new Attendance(rounds));
    serving.rounds = rounds;
    serving.requests = new Requests({
      federation,
      identity,
      ledger,
      rounds,
      revoking,
      headers,
      now: Date.now,
      takeUpdate: (offer, tensorTable, stop) => intake.take(offer, tensorTable, stop),
      onKnownRound: (participant, round) => attendance.note(participant, round),
      onEvent,
    });
    rounds.start();
    if (alone) await host.ready(signal ? { signal } : {});
    else rounds.takeOver();
    const watch = new AbortController();
    stack.defer(() => watch.abort());
    void succession.watch(watch.signal).catch((error: unknown) => rounds.fail(error));
    onEvent({ event: 'base-measured', perplexity: await measurement.basePerplexity(signal) });
    return new Aggregator(host, attendance.complete, stack.move());
  }

  /** Ends every connection and leaves the state as it is: the next start goes on from it. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#resources.disposeAsync();
  }
}

async function openAggregatorIdentity(folder: DataFolder, federation: OpenedManifest): Promise<Identity> {
  const identity = await openIdentity(folder);
  const aggregators = federation.content.aggregators.map(({ id }) => id);
  if (!aggregators.includes(identity.id)) {
    throw new PrefmeshError('NOT_THE_AGGREGATOR', { id: identity.id, aggregators: aggregators.join(', ') });
  }
  return identity;
}

async function storeInitialAdapter(
  checkpoint: Checkpoint,
  { content }: OpenedManifest,
  blobs: BlobStore,
): Promise<void> {
  const { initial } = content.adapter;
  try {
    return await blobs.verify(initial); // a copy that the disk has damaged goes into quarantine, and is made again
  } catch (error) {
    if (!isPrefmeshError(error, 'BLOB_MISSING') && !isPrefmeshError(error, 'BLOB_CORRUPT')) throw error;
  }
  const { bytes, hash } = initialAdapterBlob(checkpoint, content.adapter, content.update.fixedPointBits);
  if (hash !== initial) throw new PrefmeshError('INITIAL_ADAPTER_MISMATCH', { hash, expected: initial });
  await blobs.put(bytes);
}

async function openSets(
  { federation, evaluationPairs, rootPairs }: AggregatorOptions,
  checkpoint: Checkpoint,
): Promise<{ evaluationSet: MeasuredSet; rootSet: MeasuredSet }> {
  const { evaluation, training } = federation.content;
  const open = async (file: string, expected: Sha256): Promise<MeasuredSet> => {
    const set = await openPairsFile(file, checkpoint);
    if (set.sha256 !== expected) throw new PrefmeshError('PAIR_SET_MISMATCH', { file, hash: set.sha256, expected });
    const pairs = await tokenized(set.pairs, checkpoint, training.maxLength);
    const tastes = tastesOf(set, pairs);
    return { sha256: set.sha256, pairs, ...(tastes && { tastes }) };
  };
  return {
    evaluationSet: await open(evaluationPairs, evaluation.evaluationSet.sha256),
    rootSet: await open(rootPairs, evaluation.rootSet.sha256),
  };
}
