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
import { calm, unleash } from './troubles.ts';
import type { World } from './world.ts';

/** When every simulation begins (ms since 1970). */
const START = 1_790_000_000_000;
/** How long everybody has to follow to the end once no round is left, in ms, besides the time of a round. */
const GRACE = 600_000;
/** A run that takes so many times the time of its rounds has hung. */
const PATIENCE = 3;

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
  const { seed, rounds, joinTime, attack } = options;
  const attackers = attack === null || isAggregatorAttack(attack) ? 0 : options.attackers;
  const schedule = new Schedule(START);
  const history = new History(trace);
  const federation = simulatedFederation({ ...options, createdAt: START });
  const weather = { ...options };
  const { witnesses } = federation.content;
  const signer = identityOf('aggregator', 0);
  const network = new SimulatedNetwork(schedule, new RandomStream('simulation', seed, 'network'), weather, [
    signer.id,
    identityOf('aggregator', 1).id,
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
    honest: Array.from({ length: options.participants - attackers }, (_, i) => `participant-${i}`),
    inflation: options.updateBytes / INITIAL_BLOB.length,
    trainingTime: options.trainingTime,
    archive: new Map([[federation.content.adapter.initial, INITIAL_BLOB]]),
    tell: (who, what) => history.add({ at: Math.round(schedule.now - START), who, what } as Happening),
    onFault: (error) => (fault ??= { error }),
  };
  const lie = attack !== null && isAggregatorAttack(attack) ? attack : undefined;
  const aggregator = new SimulatedAggregator(world, { identity: signer, name: 'aggregator-0', skew: 0, attack: lie });
  const aggregators = [aggregator];
  if (lie === 'two-stories') {
    const { id } = identityOf('aggregator', 1);
    aggregators.push(new SimulatedAggregator(world, { identity: signer, name: 'double', skew: 0, machine: id }));
    const half = Array.from({ length: options.participants }, (_, i) => identityOf('participant', i).id);
    network.divert(signer.id, id, new Set(half.filter((_, i) => i % 2 === 1)));
  }
  const clocks = new RandomStream('simulation', seed, 'clocks');
  const participants = Array.from({ length: options.participants }, (_, i) => {
    const hostile = i >= options.participants - attackers;
    return new SimulatedParticipant(world, {
      identity: identityOf('participant', i),
      name: `participant-${i}`,
      verify: i < options.witnesses ? 'full' : 'receipt',
      skew: Math.round((2 * clocks.uniform() - 1) * options.skew),
      dropout: options.dropout,
      ...(hostile && attack !== null && !isAggregatorAttack(attack) && { attacker: attackerOf(attack) }),
    });
  });
  const machines = [...aggregators, ...participants];
  unleash(options, world, { aggregator, participants });
  spoil?.({ aggregator, participants, world });
  for (const { machine } of machines) machine.start();
  const grace = GRACE + options.roundTime;
  const limit = START + PATIENCE * rounds * (options.roundTime + joinTime) + grace;
  let end = limit;
  const over = (): boolean => {
    if (aggregator.finished && end === limit) {
      calm(world, { aggregator, participants });
      end = Math.min(limit, schedule.now + grace);
    }
    return (
      fault !== undefined ||
      schedule.now >= end ||
      (aggregator.finished && participants.every(({ finished, stopped }) => finished || stopped !== null))
    );
  };
  await schedule.run(over, signal);
  if (fault !== undefined) throw fault.error;
  const output = aggregator.receipts().at(-1)?.content.output ?? federation.content.adapter.initial;
  return {
    options,
    history,
    aggregator,
    aggregators,
    participants,
    world,
    bytes: Math.round(network.bytes),
    simulatedSeconds: Math.round(schedule.now - START) / 1000,
    accuracy: {
      before: learning.accuracy(INITIAL),
      after: learning.accuracy(decodeBlob(world.archive.get(output) ?? INITIAL_BLOB)),
    },
    output,
  };
}

/** Forgets the disks of a run. */
export function dispose({ aggregators, participants }: Outcome): void {
  for (const { machine } of [...aggregators, ...participants]) machine.disk.close();
  forgetKept();
}
