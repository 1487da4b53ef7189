/**
 * A participant in the simulation: the production life, receipt chain, link, waiting and store on a simulated machine.
 * Only training is a stand-in; what an attacker does differently comes in as `attacker`.
 */
import { pause } from '../../node/clock.ts';
import { AggregatorLink } from '../../node/participant/aggregatorLink.ts';
import type { ParticipantEvent } from '../../node/participant/events.ts';
import { Life } from '../../node/participant/life.ts';
import { ReceiptChain } from '../../node/participant/receiptChain.ts';
import type { ReceiptChainComponents, VerifyMode } from '../../node/participant/receiptChain.ts';
import type { MadeUpdate, RoundToTrain } from '../../node/participant/roundWork.ts';
import { ParticipantStore, PARTICIPANT_MIGRATIONS } from '../../node/participant/store.ts';
import { Waiting } from '../../node/participant/waiting.ts';
import type { Blobs } from '../../node/storage/blobs.ts';
import { RandomStream } from '../../node/training/randomStream.ts';
import { decode } from '../../protocol/codec.ts';
import { decodeEnvelope, envelopeHash } from '../../protocol/envelope.ts';
import { isPrefmeshError } from '../../protocol/errors.ts';
import type { Identity, ParticipantId } from '../../protocol/identity.ts';
import { LIMITS } from '../../protocol/limits.ts';
import { MESSAGES } from '../../protocol/messages.ts';
import { sha256 } from '../../protocol/names.ts';
import type { Sha256 } from '../../protocol/names.ts';
import { sealMessage } from '../../protocol/opening.ts';
import { decodeBlob, encodeBlob } from '../../protocol/tensorBlob.ts';
import type { FixedPointTensors } from '../../protocol/tensorBlob.ts';
import { norm } from '../../protocol/update.ts';
import { adopt, inUse } from './adapterFolder.ts';
import type { Attacker } from './attackers.ts';
import { BlobTransfer } from './blobTransfer.ts';
import { PAIRS } from './cast.ts';
import type { WorldEvent } from './history.ts';
import { TABLE } from './learning.ts';
import { Crashed, Machine, nonce, type SimulatedProcess } from './machine.ts';
import { remoteAggregator } from './remoteAggregator.ts';
import type { World } from './world.ts';

export interface SimulatedParticipantOptions {
  readonly identity: Identity;
  readonly name: string;
  readonly verify: VerifyMode;
  /** How far its clock is off, in ms. */
  readonly skew: number;
  /** Chance that it goes away in a round, before or while it sends. */
  readonly dropout: number;
  readonly attacker?: Attacker | undefined;
}

/** A machine's own speed: training takes between this and that share of the median. */
const [FASTEST, SLOWEST] = [0.6, 1.4];

export class SimulatedParticipant {
  readonly id: ParticipantId;
  readonly machine: Machine;
  readonly options: SimulatedParticipantOptions;
  /** Whether it has lived through to the end of the federation. */
  finished = false;
  /** Why it stopped, if it stopped before. */
  stopped: string | null = null;
  readonly #world: World;
  readonly #speed: number;
  get name(): string {
    return this.options.name;
  }

  /** Whether it keeps to nothing. */
  readonly hostile: boolean;
  /** The last round in which it went away. */
  #dropped = 0;

  constructor(world: World, options: SimulatedParticipantOptions) {
    const { identity, name, skew } = options;
    this.#world = world;
    this.options = options;
    this.hostile = options.attacker !== undefined;
    this.id = identity.id;
    const random = new RandomStream('simulation', world.seed, name, 'machine');
    this.#speed = FASTEST + (SLOWEST - FASTEST) * random.uniform();
    this.machine = new Machine({
      id: identity.id,
      schedule: world.schedule,
      random,
      skew,
      program: (process) => this.#run(process),
      onCrash: () => this.#tell({ event: 'crash' }),
    });
  }

  #run(process: SimulatedProcess): void {
    this.#tell({ event: 'start' });
    this.#live(process).then(
      () => void (this.finished = true),
      (error: unknown) => {
        if (error instanceof Crashed || !process.alive) return;
        if (!isPrefmeshError(error)) return this.#world.onFault(error);
        this.stopped = error.code;
        this.#tell({ event: 'died', code: error.code });
      },
    );
  }

  async #live(process: SimulatedProcess): Promise<void> {
    const { federation, network, seed, inflation } = this.#world;
    const { identity, name, verify, attacker } = this.options;
    const { disk, starts } = this.machine;
    const { clock } = process;
    const random = new RandomStream('simulation', seed, name, 'start', starts);
    const store = new ParticipantStore(disk.database('participant', PARTICIPANT_MIGRATIONS, process));
    const blobs = disk.blobs(process);
    const onEvent = (event: ParticipantEvent): void => {
      if (process.alive) this.#tell(event);
    };
    this.#load(process);
    const membership = this.#join(store, process);
    const link = new AggregatorLink({
      ...remoteAggregator(process, network, (envelope, to) =>
        this.#leaves(envelope, { to, store, process, blobs, random }),
      ),
      federation,
      identity,
      clock,
      nonce: () => nonce(random),
      onFound: (aggregator, through) => onEvent({ event: 'aggregator-found', aggregator, through }),
    });
    const waiting = new Waiting({ clock, random: () => random.uniform() });
    const chain = new ReceiptChain({
      federation,
      identity,
      store,
      blobs,
      client: new BlobTransfer({ process, network, blobs, random, inflation }),
      link,
      clock,
      verify,
      verifyRound: (task) => Promise.resolve(this.#verify(task)),
      adopt: (receipt) => {
        const folder = adopt(process, receipt);
        this.#load(process);
        return Promise.resolve(folder);
      },
      onEvent,
    });
    network.attach(process, {
      blob: async (hash) => {
        const bytes = await blobs.read(hash);
        return attacker?.serve?.(hash, bytes) ?? bytes;
      },
      hear: (envelope) => hear(envelope, link, waiting),
    });
    attacker?.mischief?.({ process, world: this.#world, random, identity });
    await process.pass(LIMITS.pollLongest.value * random.uniform()); // not all at the same moment
    const life = new Life(
      {
        federation: federation.hash,
        membership,
        store,
        blobs,
        link,
        chain,
        waiting,
        clock,
        table: TABLE,
        train: (round, signal) => this.#train(round, { process, blobs, random, onEvent }, signal),
        currentAdapter: () => disk.current,
        onEvent,
      },
      new AbortController().signal,
    );
    await life.live();
  }

  #join(store: ParticipantStore, { clock }: SimulatedProcess) {
    const { federation } = this.#world;
    const known = store.membership(federation.hash);
    if (known !== undefined) return known;
    const count = this.options.attacker?.pairs ?? PAIRS;
    store.join({
      federation,
      consent: federation.hash,
      pairs: { file: 'pairs.jsonl', sha256: sha256(Buffer.from(this.options.name)), count },
      model: null,
      addresses: [],
      invite: null,
      joinedAt: clock.now(),
    });
    return store.membership(federation.hash)!;
  }

  /** Takes its time, and gives the round's update; it may go away meanwhile, once a round. */
  async #train(
    { round, factor, parent }: RoundToTrain,
    { process, blobs, random, onEvent }: Training,
    signal: AbortSignal,
  ): Promise<MadeUpdate> {
    const { learning, archive, trainingTime, schedule } = this.#world;
    const { name, dropout, attacker } = this.options;
    const time = trainingTime * this.#speed * (0.9 + 0.2 * random.uniform());
    if (this.#dropped < round && random.uniform() < dropout) {
      this.#dropped = round;
      schedule.after(1.2 * time * random.uniform(), () => this.machine.crash());
    }
    await pause(process.clock, time, signal);
    const honest = learning.update(name, round, factor, parent);
    const others = (): FixedPointTensors[] =>
      this.#world.honest.map((other) => learning.update(other, round, factor, parent));
    const update = attacker?.update?.(honest, { others, random }) ?? honest;
    const bytes = encodeBlob(update);
    archive.set(sha256(bytes), bytes);
    const blob = await blobs.put(bytes);
    onEvent({
      event: 'trained',
      round,
      blob,
      bytes: bytes.length,
      norm: norm(update),
      shortened: false,
      seconds: time / 1000,
    });
    return { blob, bytes: bytes.length };
  }

  #verify({ recompute, ...task }: Parameters<ReceiptChainComponents['verifyRound']>[0]) {
    const { verification } = this.#world;
    if (!recompute) return verification.verify(task);
    const sent = new Map((task.envelopes ?? []).map((bytes) => [hashOf(bytes), bytes]));
    return verification.verify(task, {
      blobs: (hash) => this.machine.disk.blob(hash),
      envelopes: (hash) => sent.get(hash),
    });
  }

  /** Notes that an update message leaves, and whether it is on record here. One who cheats sends another after it. */
  #leaves(envelope: Uint8Array, { to, store, process, blobs, random }: Leaving): void {
    const { type, payload } = decodeEnvelope(envelope, LIMITS.message.value);
    if (type !== 'update') return;
    const offer = decode(payload, MESSAGES.update, { what: 'update', maxBytes: LIMITS.message.value });
    const { round, blob } = offer;
    const { federation, network, archive } = this.#world;
    const known = store.update(federation.hash, round)?.blob === blob;
    const recorded = known && store.offers(federation.hash, round).includes(hashOf(envelope));
    this.#tell({ event: 'offer-left', round, blob, recorded });
    if (this.options.attacker?.doubles !== true) return;
    const cheat = async (): Promise<void> => {
      const own = decodeBlob(await blobs.read(blob));
      const bytes = encodeBlob({ ...own, values: own.values.map((value) => -value) });
      archive.set(sha256(bytes), bytes);
      const other = await blobs.put(bytes);
      const changed = { ...offer, blob: other, sequence: offer.sequence + 1, nonce: nonce(random) };
      const second = sealMessage(this.options.identity, 'update', changed).bytes;
      await network.request(process, to, 'message', ({ message }, stop) => message?.(second, this.id, stop));
    };
    cheat().catch((error: unknown) => {
      if (!(error instanceof Crashed) && !isPrefmeshError(error)) this.#world.onFault(error);
    });
  }

  #load(process: SimulatedProcess): void {
    const adapter = inUse(process);
    if (adapter !== undefined) this.#tell({ event: 'loaded', ...adapter });
  }

  #tell(what: ParticipantEvent | WorldEvent): void {
    this.#world.tell(this.options.name, what);
  }
}

interface Leaving {
  readonly to: ParticipantId;
  readonly store: ParticipantStore;
  readonly process: SimulatedProcess;
  readonly blobs: Blobs;
  readonly random: RandomStream;
}

interface Training {
  readonly process: SimulatedProcess;
  readonly blobs: Blobs;
  readonly random: RandomStream;
  readonly onEvent: (event: ParticipantEvent) => void;
}

/** An announcement shortens a wait, as in `node/participant.ts`; one that cannot be believed does nothing. */
function hear(envelope: Uint8Array, link: AggregatorLink, waiting: Waiting): void {
  try {
    const { payload } = link.openAnnouncement(envelope);
    waiting.hear(payload.round, payload.phase);
  } catch (error) {
    if (!isPrefmeshError(error)) throw error;
  }
}

function hashOf(envelope: Uint8Array): Sha256 {
  return envelopeHash(decodeEnvelope(envelope, LIMITS.message.value));
}
