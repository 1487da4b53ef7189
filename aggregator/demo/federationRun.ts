/**
 * The demo's federation, run as people would run one: a signed federation file, an aggregator process, a ticket for
 * each participant, a participant process each. Nothing is shared between the processes but the network on loopback.
 *
 * Tickets hold the address of a bootstrap node only, which this process is; everybody finds the aggregator through
 * the DHT from there.
 */
import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import type { Logger } from 'pino';
import { Host } from '../../node/network/host.ts';
import type { ParticipantEvent } from '../../node/participant/events.ts';
import { PrefmeshError } from '../../protocol/errors.ts';
import { identityFromSeed } from '../../protocol/identity.ts';
import type { AggregatorEvent, ListeningEvent, RoundClosedEvent } from '../events.ts';
import { DEMO_RULE, DEMO_SETS, DEMO_TERMS, type DemoSize } from './plan.ts';
import { Program, runProgram } from './processes.ts';

/** Where the demo's files lie. */
export interface DemoFiles {
  readonly folder: string;
  readonly evaluation: string;
  readonly root: string;
  /** Private pairs, one file a participant. */
  readonly pairs: readonly string[];
}

export interface FederationRunInit {
  readonly size: DemoSize;
  readonly files: DemoFiles;
  readonly device: string;
  /** Compute threads of each participant, and of the aggregator, which works while they wait. */
  readonly threads: { readonly participant: number; readonly aggregator: number };
  readonly onEvent: (event: DemoEvent) => void;
  readonly log: Logger;
  readonly signal: AbortSignal;
}

export type DemoEvent =
  | { readonly from: 'aggregator'; readonly event: AggregatorEvent }
  | { readonly from: 'participant'; readonly index: number; readonly event: ParticipantEvent };

/** What one participant did. */
export interface ParticipantRecord {
  /** DPO loss of each step, by round. */
  readonly losses: Map<number, number[]>;
  /** Bytes of the update, by round. */
  readonly bytesSent: Map<number, number>;
  /** Rounds whose receipt passed every check. */
  readonly verified: Set<number>;
  /** Hash and PEFT folder of the adapter that it ended with. */
  adapter: string | null;
  folder: string | null;
}

export interface FederationRecord {
  readonly federation: string;
  readonly rounds: readonly RoundClosedEvent[];
  /** Refused messages, which an undisturbed demo has none of. */
  readonly refused: number;
  readonly participants: readonly ParticipantRecord[];
  /** Hash of the last adapter, the same for all. */
  readonly adapter: string;
  /** A PEFT folder of it. */
  readonly folder: string;
}

const DEADLINE = '10min';
const JOIN_WAIT = '60s';

export class FederationRun implements AsyncDisposable {
  readonly #init: FederationRunInit;
  readonly #programs: Program[] = [];
  readonly #rounds: RoundClosedEvent[] = [];
  readonly #participants: ParticipantRecord[];
  readonly #listening = Promise.withResolvers<ListeningEvent>();
  #refused = 0;

  constructor(init: FederationRunInit) {
    this.#init = init;
    this.#participants = Array.from({ length: init.size.participants }, () => ({
      losses: new Map(),
      bytesSent: new Map(),
      verified: new Set(),
      adapter: null,
      folder: null,
    }));
  }

  /** Ids of the processes that were started. */
  get processes(): readonly (number | undefined)[] {
    return this.#programs.map(({ pid }) => pid);
  }

  /** Runs all rounds. Throws DEMO_PROCESS_FAILED, DEMO_ADAPTERS_DIFFER, INTERRUPTED. */
  async run(): Promise<FederationRecord> {
    const { files } = this.#init;
    const { federation } = await this.#create();
    const key = identityFromSeed(randomBytes(32));
    await using bootstrap = await Host.start(key, { preset: 'local', role: 'aggregator', log: this.#init.log });
    const aggregator = this.#startAggregator(bootstrap.addresses);
    await this.#untilAnyFails(this.#listening.promise);
    const tickets = await this.#invite(bootstrap.addresses);
    await this.#untilAnyFails(
      Promise.all(
        files.pairs.map((pairs, index) =>
          runProgram(`joining of participant ${index + 1}`, [
            ...['node', 'join', tickets[index]!, '--home', this.#home(`participant-${index + 1}`)],
            ...['--pairs', pairs, '--consent', federation, '--network', 'local'],
          ]),
        ),
      ),
    );
    const participants = files.pairs.map((_, index) => this.#startParticipant(index));
    await this.#untilAnyFails(Promise.all([aggregator, ...participants].map(({ done }) => done)));
    return { federation, rounds: this.#rounds, refused: this.#refused, ...this.#agreedAdapter() };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.#programs.map((program) => program[Symbol.asyncDispose]()));
  }

  async #create(): Promise<{ federation: string }> {
    const { size, files } = this.#init;
    const { rank, alpha, targets, beta, learningRate, schedule, warmup, batchSize, steps, maxLength } = DEMO_TERMS;
    const [created] = await runProgram('making of the federation', [
      ...['federation', 'create', '--home', this.#home('aggregator'), '--out', this.#federationFile],
      ...['--name', 'Four tastes', '--model', 'embedded', '--seed', `${size.seed}`],
      ...['--evaluation-pairs', files.evaluation, '--root-pairs', files.root, '--rule', DEMO_RULE],
      ...['--rank', `${rank}`, '--alpha', `${alpha}`, '--targets', targets.join(',')],
      ...['--beta', `${beta}`, '--learning-rate', `${learningRate}`, '--schedule', schedule, '--warmup', `${warmup}`],
      ...['--batch-size', `${batchSize}`, '--steps-per-round', `${steps}`, '--max-length', `${maxLength}`],
      ...[
        '--rounds',
        `${size.rounds}`,
        '--quorum',
        `${size.participants}`,
        '--max-participants',
        `${size.participants}`,
      ],
      ...['--join-wait', JOIN_WAIT, '--deadline', DEADLINE, '--minimum-pairs', `${DEMO_SETS.participantPairs}`],
    ]);
    return created as { federation: string };
  }

  #startAggregator(bootstrap: readonly string[]): Program {
    const { files, device, threads } = this.#init;
    return this.#start({
      name: 'aggregator',
      args: [
        ...['aggregator', 'start', '--home', this.#home('aggregator'), '--federation', this.#federationFile],
        ...['--evaluation-pairs', files.evaluation, '--root-pairs', files.root, '--network', 'local'],
        ...bootstrap.flatMap((address) => ['--bootstrap', address]),
        ...['--device', device, '--threads', `${threads.aggregator}`, '--exit-when-finished'],
      ],
      onLine: (line) => this.#heardAggregator(line as AggregatorEvent),
    });
  }

  async #invite(addresses: readonly string[]): Promise<string[]> {
    const lines = await runProgram('writing of tickets', [
      ...['federation', 'invite', this.#federationFile, '--home', this.#home('aggregator')],
      ...['--count', `${this.#init.size.participants}`, ...addresses.flatMap((address) => ['--address', address])],
    ]);
    return lines.map((line) => (line as { ticket: string }).ticket);
  }

  #startParticipant(index: number): Program {
    const { size, device, threads } = this.#init;
    return this.#start({
      name: `participant ${index + 1}`,
      args: [
        ...['node', 'start', '--home', this.#home(`participant-${index + 1}`), '--network', 'local'],
        ...['--seed', `${size.seed + index}`, '--device', device, '--threads', `${threads.participant}`],
        '--exit-when-finished',
      ],
      onLine: (line) => this.#heardParticipant(index, line as ParticipantEvent),
    });
  }

  #start(init: ConstructorParameters<typeof Program>[0]): Program {
    const program = new Program(init);
    this.#programs.push(program);
    return program;
  }

  /** Waits for work, but not past the end of a process it needs, nor past an interruption. */
  async #untilAnyFails<T>(work: Promise<T>): Promise<T> {
    const { signal } = this.#init;
    const { promise: stopped, reject } = Promise.withResolvers<never>();
    const stop = () => reject(signal.reason);
    signal.addEventListener('abort', stop, { once: true });
    if (signal.aborted) stop();
    for (const { done } of this.#programs) done.catch(reject);
    try {
      return await Promise.race([work, stopped]);
    } finally {
      signal.removeEventListener('abort', stop);
    }
  }

  #heardAggregator(event: AggregatorEvent): void {
    if (event.event === 'listening') this.#listening.resolve(event);
    if (event.event === 'round-closed') this.#rounds.push(event);
    if (event.event === 'refused') this.#refused++;
    this.#init.onEvent({ from: 'aggregator', event });
  }

  #heardParticipant(index: number, event: ParticipantEvent): void {
    const record = this.#participants[index]!;
    switch (event.event) {
      case 'step':
        record.losses.set(event.round, [...(record.losses.get(event.round) ?? []), event.loss]);
        break;
      case 'update-accepted':
        record.bytesSent.set(event.round, event.bytesSent);
        break;
      case 'receipt-verified':
        record.verified.add(event.round);
        break;
      case 'finished':
        record.adapter = event.adapter;
        record.folder = event.folder;
        break;
      default:
        break; // nothing of the others is part of the record
    }
    this.#init.onEvent({ from: 'participant', index, event });
  }

  #agreedAdapter(): Pick<FederationRecord, 'participants' | 'adapter' | 'folder'> {
    const hashes = new Set(this.#participants.map(({ adapter }) => adapter ?? 'none'));
    const [first] = this.#participants;
    if (hashes.size !== 1 || first?.adapter == null || first.folder === null) {
      throw new PrefmeshError('DEMO_ADAPTERS_DIFFER', { hashes: [...hashes].join(', ') });
    }
    return { participants: this.#participants, adapter: first.adapter, folder: first.folder };
  }

  get #federationFile(): string {
    return join(this.#init.files.folder, 'four-tastes.federation');
  }

  #home(name: string): string {
    return join(this.#init.files.folder, name);
  }
}
