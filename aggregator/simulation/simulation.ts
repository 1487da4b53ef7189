/**
 * One run of a simulated federation, from its seed to its figures.
 *
 * Everything that happens follows from the options: the same options give the same history, on any machine.
 */
import { RandomStream } from '../../node/training/randomStream.ts';
import { decodeBlob } from '../../protocol/tensorBlob.ts';
import type { Sha256 } from '../../protocol/names.ts';
import { ATTACKS } from './attackers.ts';
import { identityOf, simulatedFederation } from './cast.ts';
import { forgetKept } from './disk.ts';
import { History, type Happening } from './history.ts';
import { INITIAL, INITIAL_BLOB, Learning } from './learning.ts';
import { SimulatedNetwork } from './network.ts';
import type { SimulationOptions } from './options.ts';
import { Schedule } from './schedule.ts';
import { SharedVerification } from './sharedVerification.ts';
import { SimulatedAggregator } from './simulatedAggregator.ts';
import { SimulatedParticipant } from './simulatedParticipant.ts';
import { unleash } from './troubles.ts';
import type { World } from './world.ts';

/** When every simulation begins (ms since 1970). */
const START = 1_790_000_000_000;
/** How long everybody has to fetch the last adapter, in ms. */
const GRACE = 600_000;
/** A run that takes so many times the time of its rounds has hung. */
const PATIENCE = 3;

export interface Outcome {
  readonly options: SimulationOptions;
  readonly history: History;
  readonly aggregator: SimulatedAggregator;
  readonly participants: readonly SimulatedParticipant[];
  readonly world: World;
  readonly bytes: number;
  /** Simulated seconds from the start to the last adapter of the last participant. */
  readonly simulatedSeconds: number;
  readonly accuracy: { readonly before: number; readonly after: number };
  readonly outputHash: Sha256;
}

export interface RunOptions {
  readonly signal?: AbortSignal | undefined;
  /** Told everything that happens, as lines of JSON. */
  readonly trace?: ((line: string) => void) | undefined;
  /** For tests: spoils something before the run begins. */
  readonly spoil?: (parts: Pick<Outcome, 'aggregator' | 'participants' | 'world'>) => void;
}

/** Runs a federation to its end. Throws the signal's reason; rethrows a fault of the program. */
export async function simulate(
  options: SimulationOptions,
  { signal, trace, spoil }: RunOptions = {},
): Promise<Outcome> {
  const { seed, rounds, joinTime } = { ...options, joinTime: 30_000 };
  const schedule = new Schedule(START);
  const history = new History(trace);
  const federation = simulatedFederation({ ...options, joinTime, createdAt: START });
  const weather = { ...options };
  const { aggregators, witnesses } = federation.content;
  const network = new SimulatedNetwork(schedule, new RandomStream('simulation', seed, 'network'), weather, [
    ...aggregators.map(({ id }) => id),
    ...witnesses.participants,
  ]);
  let fault: { readonly error: unknown } | undefined;
  const learning = new Learning(seed);
  const world: World = {
    seed,
    schedule,
    network,
    learning,
    federation,
    verification: new SharedVerification(federation),
    inflation: options.updateBytes / INITIAL_BLOB.length,
    trainingTime: options.trainingTime,
    archive: new Map(),
    tell: (who, what) => history.add({ at: Math.round(schedule.now - START), who, what } as Happening),
    onFault: (error) => (fault ??= { error }),
  };
  const aggregator = new SimulatedAggregator(world, {
    identity: identityOf('aggregator', 0),
    name: 'aggregator-0',
    skew: 0,
  });
  const clocks = new RandomStream('simulation', seed, 'clocks');
  const participants = Array.from({ length: options.participants }, (_, i) => {
    const hostile = options.attack !== null && i >= options.participants - options.attackers;
    return new SimulatedParticipant(world, {
      identity: identityOf('participant', i),
      name: `participant-${i}`,
      verify: i < options.witnesses ? 'full' : 'receipt',
      skew: Math.round((2 * clocks.uniform() - 1) * options.skew),
      dropout: options.dropout,
      ...(hostile && { attacker: ATTACKS[options.attack!]() }),
    });
  });
  const machines = [aggregator, ...participants];
  try {
    spoil?.({ aggregator, participants, world });
    for (const { machine } of machines) machine.start();
    unleash(options, world, aggregator, participants);
    const limit = START + PATIENCE * rounds * (options.roundTime + joinTime) + GRACE;
    let end = limit;
    const over = (): boolean => {
      if (aggregator.finished && end === limit) end = Math.min(limit, schedule.now + GRACE);
      return (
        fault !== undefined ||
        schedule.now >= end ||
        (aggregator.finished && participants.every(({ finished, stopped }) => finished || stopped !== null))
      );
    };
    await schedule.run(over, signal);
    if (fault !== undefined) throw fault.error;
    const last = history.happenings.findLast(({ what }) => what.event === 'round-closed')?.what;
    const final = last?.event === 'round-closed' ? world.archive.get(last.adapter) : undefined;
    return {
      options,
      history,
      aggregator,
      participants,
      world,
      bytes: Math.round(network.bytes),
      simulatedSeconds: Math.round(schedule.now - START) / 1000,
      accuracy: {
        before: learning.accuracy(INITIAL),
        after: learning.accuracy(final === undefined ? INITIAL : decodeBlob(final)),
      },
      outputHash: history.hash(),
    };
  } finally {
    // Looked at by the checker, so closed by whoever holds the outcome: see `dispose`.
  }
}

/** Forgets the disks of a run. */
export function dispose({ aggregator, participants }: Outcome): void {
  for (const { machine } of [aggregator, ...participants]) machine.disk.close();
  forgetKept();
}
