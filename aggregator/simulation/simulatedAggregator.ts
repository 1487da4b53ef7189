/**
 * An aggregator in the simulation: the production rounds, requests, intake, ledger and log on a simulated machine.
 * Measuring an adapter is a stand-in.
 */
import { MessageHeaders } from '../../node/participant/messageHeaders.ts';
import { RandomStream } from '../../node/training/randomStream.ts';
import { aggregateRound } from '../../protocol/aggregation/aggregate.ts';
import { decode } from '../../protocol/codec.ts';
import { decodeEnvelope, envelopeHash } from '../../protocol/envelope.ts';
import { isPrefmeshError } from '../../protocol/errors.ts';
import type { Identity, ParticipantId } from '../../protocol/identity.ts';
import type { Sha256 } from '../../protocol/names.ts';
import { LIMITS } from '../../protocol/limits.ts';
import { sha256 } from '../../protocol/names.ts';
import { MESSAGES } from '../../protocol/messages.ts';
import { sealMessage } from '../../protocol/opening.ts';
import { openReceipt } from '../../protocol/receipt.ts';
import type { OpenedReceipt } from '../../protocol/receipt.ts';
import { initialState } from '../../protocol/roundState.ts';
import { decodeBlob, encodeBlob } from '../../protocol/tensorBlob.ts';
import type { Blobs } from '../../node/storage/blobs.ts';
import type { AggregatorEvent } from '../events.ts';
import { Ledger, LEDGER_MIGRATIONS } from '../ledger.ts';
import { evidenceOf, FederationLog } from '../log.ts';
import { isOnRecord, mending } from '../mending.ts';
import { Requests } from '../requests.ts';
import type { AggregatedBlobs } from '../aggregation.ts';
import { LostUpdate, Rounds, type AggregateEffect } from '../rounds.ts';
import { UpdateIntake } from '../updateIntake.ts';
import type { AggregatorAttack } from './attackers.ts';
import { BlobTransfer } from './blobTransfer.ts';
import { identityOf } from './cast.ts';
import type { WorldEvent } from './history.ts';
import { INITIAL_BLOB } from './learning.ts';
import { Crashed, Machine, nonce, type SimulatedProcess } from './machine.ts';
import type { World } from './world.ts';

export interface SimulatedAggregatorOptions {
  readonly identity: Identity;
  readonly name: string;
  readonly skew: number;
  /** How it lies, if it does. */
  readonly attack?: AggregatorAttack | undefined;
  /** The machine's own name on the network, where that is not the key's: the second of one key. */
  readonly machine?: ParticipantId | undefined;
}

/** Milliseconds that it takes to aggregate one update, and to measure an adapter. */
const AGGREGATION_TIME = 5;
const MEASURING_TIME = 2_000;

export class SimulatedAggregator {
  readonly id: ParticipantId;
  readonly machine: Machine;
  finished = false;
  /** Adapters that lie nowhere else before anybody has fetched them. */
  readonly adapters: Set<Sha256>;
  /** Why it stopped, if it stopped before the end. */
  stopped: string | null = null;
  readonly #world: World;
  readonly #options: SimulatedAggregatorOptions;

  constructor(world: World, options: SimulatedAggregatorOptions) {
    const { identity, name, skew, machine = identity.id } = options;
    this.#world = world;
    this.#options = options;
    this.id = identity.id;
    this.adapters = new Set([world.federation.content.adapter.initial]);
    this.machine = new Machine({
      id: machine,
      schedule: world.schedule,
      random: new RandomStream('simulation', world.seed, name, 'machine'),
      skew,
      program: (process) => this.#run(process),
      onCrash: () => this.#tell({ event: 'crash' }),
    });
  }

  get name(): string {
    return this.#options.name;
  }

  /** What lies on its disk, looked at from outside. */
  ledger(): Ledger {
    const { federation } = this.#world;
    const database = this.machine.disk.look('aggregator')!;
    return Ledger.over(database, federation, () => initialState(federation.content, this.#world.schedule.now));
  }

  /** The receipts on its disk, in order. */
  receipts(): OpenedReceipt[] {
    const ledger = this.ledger();
    const receipts: OpenedReceipt[] = [];
    for (let round = 1; ; round++) {
      const found = ledger.receipt(round);
      if (found === undefined) return receipts;
      receipts.push(openReceipt(found.envelope));
    }
  }

  /** Whether an accepted update is on its disk. */
  hasUpdate(round: number, sender: ParticipantId, blob: Sha256): boolean {
    const { state } = this.ledger();
    const accepted = state.round === round && 'accepted' in state ? state.accepted : [];
    return accepted.some((update) => update.sender === sender && update.blob === blob);
  }

  #run(process: SimulatedProcess): void {
    this.#tell({ event: 'start' });
    this.#serve(process).then(
      () => void (this.finished ||= process.alive),
      (error: unknown) => {
        if (error instanceof Crashed || !process.alive) return;
        if (!isPrefmeshError(error)) return this.#world.onFault(error);
        this.stopped = error.code;
        this.#tell({ event: 'died', code: error.code });
      },
    );
  }

  async #serve(process: SimulatedProcess): Promise<void> {
    const { federation, network, seed, inflation, learning } = this.#world;
    const { identity, name } = this.#options;
    const { clock } = process;
    const manifest = federation.content;
    const random = new RandomStream('simulation', seed, name, 'start', this.machine.starts);
    const { disk } = this.machine;
    const database = disk.database('aggregator', LEDGER_MIGRATIONS, process);
    const ledger = Ledger.over(database, federation, () => initialState(manifest, clock.now()));
    const blobs = disk.blobs(process);
    if (!(await blobs.has(manifest.adapter.initial))) await blobs.put(INITIAL_BLOB);
    const headers = new MessageHeaders(federation.hash, clock.now, () => nonce(random));
    const client = new BlobTransfer({ process, network, blobs, random, inflation });
    const mended = <Made>(work: () => Promise<Made>, stop?: AbortSignal) => mending(work, { ledger, client }, stop);
    const readMended = (hash: Sha256) => mended(() => blobs.read(hash));
    const intake = new UpdateIntake({ manifest, blobs, client, readAdapter: readMended });
    const onEvent = (event: AggregatorEvent): void => {
      if (process.alive) this.#tell(event);
    };
    const rounds = new Rounds({
      federation,
      identity,
      ledger,
      headers,
      now: clock.now,
      alarm: clock.alarm,
      aggregate: (effect, signal) => mended(() => this.#aggregate(effect, blobs, process), signal),
      evaluate: async ({ candidate, parent }) => {
        await process.pass(MEASURING_TIME);
        return learning.figures(await readMended(candidate), await readMended(parent));
      },
      announce: async (envelope) => network.publish(process, envelope),
      describe: () => ({ accuracy: null, byTaste: {} }),
      bytesReceived: () => intake.bytesReceived,
      onEvent,
    });
    const requests = new Requests({
      federation,
      identity,
      ledger,
      rounds,
      revoking: { newest: null },
      headers,
      now: clock.now,
      takeUpdate: (offer, table, signal) => intake.take(offer, table, signal),
      onKnownRound: () => undefined,
      onEvent,
    });
    const log = new FederationLog(federation, identity, ledger);
    network.attach(process, {
      message: async (envelope, from, signal) =>
        this.#leftOut(envelope, headers) ?? (await requests.answer(envelope, from, signal)),
      evidence: (round) => evidenceOf(ledger, round),
      log: (size) => log.from(size),
      cosign: (checkpoint) => log.cosign(checkpoint),
      blob: (hash) => (isOnRecord(hash, rounds.state, ledger) ? readMended(hash) : blobs.read(hash)),
    });
    rounds.start();
    await rounds.finished;
  }

  async #aggregate(effect: AggregateEffect, blobs: Blobs, process: SimulatedProcess): Promise<AggregatedBlobs> {
    const { content } = this.#world.federation;
    await process.pass(AGGREGATION_TIME * effect.blobs.length);
    const updates = [];
    for (const hash of effect.blobs) {
      try {
        updates.push(decodeBlob(await blobs.read(hash)));
      } catch (error) {
        throw isPrefmeshError(error) ? new LostUpdate(hash, error) : error;
      }
    }
    const { rule, factor, blobs: hashes } = effect;
    const parent = decodeBlob(await blobs.read(effect.parent));
    const { parameters } = content.aggregation;
    const right = aggregateRound({ rule, parameters, factor, parent, blobs: hashes, updates });
    const blob = this.#options.attack === 'wrong-sum' ? spoiled(right.blob) : right.blob;
    this.#world.archive.set(sha256(blob), blob);
    this.adapters.add(sha256(blob));
    const hash = await blobs.put(blob);
    return { candidate: hash, optimizerState: null };
  }

  /** One who leaves an update out acknowledges it all the same: the first of the cohort is always the one. */
  #leftOut(envelope: Uint8Array, headers: MessageHeaders): Uint8Array | undefined {
    const { attack, identity } = this.#options;
    if (attack !== 'left-out') return undefined;
    const { type, sender, payload } = decodeEnvelope(envelope, LIMITS.message.value);
    if (type !== 'update' || sender !== identityOf('participant', 0).id) return undefined;
    const { round } = decode(payload, MESSAGES.update, { what: 'update', maxBytes: LIMITS.message.value });
    const request = envelopeHash(decodeEnvelope(envelope, LIMITS.message.value));
    const header = { ...headers.next(round), recipient: sender, request };
    return sealMessage(identity, 'acknowledgement', { ...header, verdict: 'accepted', code: null }).bytes;
  }

  #tell(what: AggregatorEvent | WorldEvent): void {
    this.#world.tell(this.#options.name, what);
  }
}

/** Another adapter, as good as the right one to look at. */
function spoiled(blob: Uint8Array): Uint8Array {
  const adapter = decodeBlob(blob);
  return encodeBlob({ ...adapter, values: adapter.values.map((value, i) => (i === 0 ? value + 1 : value)) });
}
