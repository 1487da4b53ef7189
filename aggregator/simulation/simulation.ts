/**
 * One run of a simulated federation, from its seed to its figures.
 *
 * Everything that happens follows from the options: the same options give the same history, on any machine.
 */
import { RandomStream } from '../../node/training/randomStream.ts';
import { keepOwnSignatures } from '../../protocol/identity.ts';
import { decodeBlob } from '../../protocol/tensorBlob.ts';
import type { Sha256 } from '../../protocol/names.ts';
import { attackerOf, isAggregatorAttack } from './attackers.ts';
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
import { calm, unleash, type Troubled } from './troubles.ts';
import type { World } from './world.ts';

/** When every simulation begins (ms since 1970). */
const START = 1_790_000_000_000;
/** How long everybody has to follow to the end once no round is left, in ms, besides the time of a round. */
const GRACE = 600_000;
/** A run that takes so many times the time of its rounds has hung. */
const PATIENCE = 3;

const SIGNER = identityOf('aggregator', 0);
/** The machine of one who signs with the aggregator's key and tells another story. */
const DOUBLE = identityOf('aggregator', 1);

export interface Outcome {
  readonly options: SimulationOptions;
  readonly history: History;
  readonly aggregator: SimulatedAggregator;
  /** All that sign as aggregators: one, and its double where it tells two stories. */
  readonly aggregators: readonly SimulatedAggregator[];
  readonly participants: readonly SimulatedParticipant[];
  readonly world: World;
  readonly bytes: number;
  /** Simulated seconds from the start to the last adapter of the last participant. */
  readonly simulatedSeconds: number;
  readonly accuracy: { readonly before: number; readonly after: number };
  /** The last adapter's blob. */
  readonly output: Sha256;
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
  using _kept = keepOwnSignatures();
  const history = new History(trace);
  const faults: unknown[] = [];
  const world = worldOf(options, history, faults);
  const aggregators = aggregatorsOf(options, world);
  const aggregator = aggregators[0]!;
  const participants = participantsOf(options, world);
  unleash(options, world, { aggregator, participants });
  spoil?.({ aggregator, participants, world });
  for (const { machine } of [...aggregators, ...participants]) machine.start();
  await world.schedule.run(theEnd(options, world, { aggregator, participants }, faults), signal);
  if (faults.length > 0) throw faults[0];

  const { archive, federation, learning, network, schedule } = world;
  const output = aggregator.receipts().at(-1)?.content.output ?? federation.content.adapter.initial;
  const after = learning.accuracy(decodeBlob(archive.get(output) ?? INITIAL_BLOB));
  return {
    options,
    history,
    aggregator,
    aggregators,
    participants,
    world,
    bytes: Math.round(network.bytes),
    simulatedSeconds: Math.round(schedule.now - START) / 1000,
    accuracy: { before: learning.accuracy(INITIAL), after },
    output,
  };
}

function worldOf(options: SimulationOptions, history: History, faults: unknown[]): World {
  const { seed } = options;
  const schedule = new Schedule(START);
  const federation = simulatedFederation({ ...options, createdAt: START });
  const fast = [SIGNER.id, DOUBLE.id, ...federation.content.witnesses.participants];
  return {
    seed,
    schedule,
    network: new SimulatedNetwork(schedule, new RandomStream('simulation', seed, 'network'), options, fast),
    learning: new Learning(seed),
    federation,
    verification: new SharedVerification(federation),
    honest: Array.from({ length: options.participants - attackersOf(options) }, (_, i) => `participant-${i}`),
    inflation: options.updateBytes / INITIAL_BLOB.length,
    trainingTime: options.trainingTime,
    archive: new Map([[federation.content.adapter.initial, INITIAL_BLOB]]),
    tell: (who, what) => history.add({ at: Math.round(schedule.now - START), who, what } as Happening),
    onFault: (error) => void faults.push(error),
  };
}

/** The aggregator, and its double where it tells two stories, whom every other participant hears. */
function aggregatorsOf({ attack, participants }: SimulationOptions, world: World): SimulatedAggregator[] {
  const lie = attack !== null && isAggregatorAttack(attack) ? attack : undefined;
  const first = new SimulatedAggregator(world, { identity: SIGNER, name: 'aggregator-0', skew: 0, attack: lie });
  if (lie !== 'two-stories') return [first];
  const double = new SimulatedAggregator(world, { identity: SIGNER, name: 'double', skew: 0, machine: DOUBLE.id });
  const ids = Array.from({ length: participants }, (_, i) => identityOf('participant', i).id);
  world.network.divert(SIGNER.id, DOUBLE.id, new Set(ids.filter((_, i) => i % 2 === 1)));
  return [first, double];
}

/** Everybody else: witnesses come first, attackers last. */
function participantsOf(options: SimulationOptions, world: World): SimulatedParticipant[] {
  const { attack, seed } = options;
  const clocks = new RandomStream('simulation', seed, 'clocks');
  return Array.from({ length: options.participants }, (_, i) => {
    const hostile = i >= options.participants - attackersOf(options);
    return new SimulatedParticipant(world, {
      identity: identityOf('participant', i),
      name: `participant-${i}`,
      verify: i < options.witnesses ? 'full' : 'receipt',
      skew: Math.round((2 * clocks.uniform() - 1) * options.skew),
      dropout: options.dropout,
      ...(hostile && attack !== null && !isAggregatorAttack(attack) && { attacker: attackerOf(attack) }),
    });
  });
}

function attackersOf({ attack, attackers }: SimulationOptions): number {
  return attack === null || isAggregatorAttack(attack) ? 0 : attackers;
}

/** Whether a run is over: everybody is at the end, or has had the time for it; or the program is at fault. */
function theEnd(
  { rounds, roundTime, joinTime }: SimulationOptions,
  world: World,
  troubled: Troubled,
  faults: readonly unknown[],
): () => boolean {
  const { aggregator, participants } = troubled;
  const { schedule } = world;
  const grace = GRACE + roundTime;
  const limit = START + PATIENCE * rounds * (roundTime + joinTime) + grace;
  let end = limit;
  return () => {
    if (aggregator.finished && end === limit) {
      calm(world, troubled);
      end = Math.min(limit, schedule.now + grace);
    }
    if (faults.length > 0 || schedule.now >= end) return true;
    return aggregator.finished && participants.every(({ finished, stopped }) => finished || stopped !== null);
  };
}

/** Forgets the disks of a run. */
export function dispose({ aggregators, participants }: Outcome): void {
  for (const { machine } of [...aggregators, ...participants]) machine.disk.close();
  forgetKept();
}
