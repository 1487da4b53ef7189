/**
 * An aggregator in the simulation: the production rounds, requests, intake, ledger and log on a simulated machine.
 * Measuring an adapter is a stand-in.
 */
import { MessageHeaders } from '../../node/participant/messageHeaders.ts';
import { RandomStream } from '../../node/training/randomStream.ts';
import { aggregateRound } from '../../protocol/aggregation/aggregate.ts';
import { isPrefmeshError } from '../../protocol/errors.ts';
import type { Identity, ParticipantId } from '../../protocol/identity.ts';
import { initialState } from '../../protocol/roundState.ts';
import { decodeBlob } from '../../protocol/tensorBlob.ts';
import type { Blobs } from '../../node/storage/blobs.ts';
import type { AggregatorEvent } from '../events.ts';
import { Ledger, LEDGER_MIGRATIONS } from '../ledger.ts';
import { evidenceOf, FederationLog } from '../log.ts';
import { mending } from '../mending.ts';
import { Requests } from '../requests.ts';
import type { AggregatedBlobs } from '../aggregation.ts';
import { LostUpdate, Rounds, type AggregateEffect } from '../rounds.ts';
import { UpdateIntake } from '../updateIntake.ts';
import { BlobTransfer } from './blobTransfer.ts';
import type { WorldEvent } from './history.ts';
import { INITIAL_BLOB } from './learning.ts';
import { Crashed, Machine, type SimulatedProcess } from './machine.ts';
import { nonce } from './simulatedParticipant.ts';
import type { World } from './world.ts';

export interface SimulatedAggregatorOptions {
  readonly identity: Identity;
  readonly name: string;
  readonly skew: number;
}

/** Milliseconds that it takes to aggregate one update, and to measure an adapter. */
const AGGREGATION_TIME = 5;
const MEASURING_TIME = 2_000;

export class SimulatedAggregator {
  readonly id: ParticipantId;
  readonly machine: Machine;
  finished = false;
  /** Why it stopped, if it stopped before the end. */
  stopped: string | null = null;
  readonly #world: World;
  readonly #options: SimulatedAggregatorOptions;

  constructor(world: World, options: SimulatedAggregatorOptions) {
    const { identity, name, skew } = options;
    this.#world = world;
    this.#options = options;
    this.id = identity.id;
    this.machine = new Machine({
      id: identity.id,
      schedule: world.schedule,
      random: new RandomStream('simulation', world.seed, name, 'machine'),
      skew,
      program: (process) => this.#run(process),
      onCrash: () => this.#tell({ event: 'crash' }),
    });
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
    const { federation, network, seed, inflation, learning, archive } = this.#world;
    const { identity, name } = this.#options;
    const { clock } = process;
    const manifest = federation.content;
    const random = new RandomStream('simulation', seed, name, 'start', this.machine.starts);
    const { disk } = this.machine;
    const database = disk.database('aggregator', LEDGER_MIGRATIONS, process);
    const ledger = Ledger.over(database, federation, () => initialState(manifest, clock.now()));
    const blobs = disk.blobs(process);
    if (!(await blobs.has(manifest.adapter.initial))) archive.set(await blobs.put(INITIAL_BLOB), INITIAL_BLOB);
    const headers = new MessageHeaders(federation.hash, clock.now, () => nonce(random));
    const client = new BlobTransfer({ process, network, blobs, random, inflation });
    const intake = new UpdateIntake({ manifest, blobs, client });
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
      aggregate: (effect, signal) => mending(() => this.#aggregate(effect, blobs, process), { ledger, client }, signal),
      evaluate: async ({ candidate, parent }) => {
        await process.pass(MEASURING_TIME);
        return learning.figures(await blobs.read(candidate), await blobs.read(parent));
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
      headers,
      now: clock.now,
      takeUpdate: (offer, table, signal) => intake.take(offer, table, signal),
      onKnownRound: () => undefined,
      onEvent,
    });
    const log = new FederationLog(federation, identity, ledger);
    network.attach(process, {
      message: (envelope, from, signal) => requests.answer(envelope, from, signal),
      evidence: (round) => evidenceOf(ledger, round),
      log: (size) => log.from(size),
      cosign: (checkpoint) => log.cosign(checkpoint),
      blob: (hash) => blobs.read(hash),
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
    const { blob } = aggregateRound({ rule, parameters, factor, parent, blobs: hashes, updates });
    const hash = await blobs.put(blob);
    this.#world.archive.set(hash, blob);
    return { candidate: hash, optimizerState: null };
  }

  #tell(what: AggregatorEvent | WorldEvent): void {
    this.#world.tell(this.#options.name, what);
  }
}
