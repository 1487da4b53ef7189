/** The troubles of a run beyond the everyday ones: crashes, partitions, rotting disks, clocks that jump. */
import { RandomStream } from '../../node/training/randomStream.ts';
import type { SimulationOptions } from './options.ts';
import type { SimulatedAggregator } from './simulatedAggregator.ts';
import type { SimulatedParticipant } from './simulatedParticipant.ts';
import type { Sha256 } from '../../protocol/names.ts';
import type { World } from './world.ts';

export interface Troubled {
  readonly aggregator: SimulatedAggregator;
  readonly participants: readonly SimulatedParticipant[];
}

/** Effects of an aggregator for each participant in a round, roughly: so many crashes a round are crashes at one of them. */
const EFFECTS_A_PARTICIPANT = 8;

/** Sets the troubles off. They end with the last round, so that what everybody then holds can be compared. */
export function unleash(options: SimulationOptions, world: World, { aggregator, participants }: Troubled): void {
  const random = new RandomStream('simulation', world.seed, 'troubles');
  const { roundTime, partition, crashes, decay, skew } = options;
  const { schedule, network, tell } = world;
  const machines: readonly (SimulatedAggregator | SimulatedParticipant)[] = [aggregator, ...participants];
  for (const { machine } of participants) machine.downtime = () => roundTime * (0.1 + random.uniform());
  aggregator.machine.downtime = () => 1_000 + 0.3 * roundTime * random.uniform();
  aggregator.machine.crashChance = Math.min(0.5, crashes / (EFFECTS_A_PARTICIPANT * participants.length + 20));

  /** Does something again and again, `mean` ms apart on average, until the rounds are over. */
  const repeatedly = (mean: number, strike: () => void): void => {
    schedule.after(mean * 2 * random.uniform(), () => {
      if (aggregator.finished) return;
      strike();
      repeatedly(mean, strike);
    });
  };
  const anyMachine = () => machines[Math.floor(random.uniform() * machines.length)]!;

  if (partition > 0) {
    repeatedly(2 * roundTime, () => {
      const side = participants.filter(() => random.uniform() < partition).map(({ id }) => id);
      network.partition(side);
      tell('world', { event: 'partition', side: side.length });
      schedule.after(roundTime * (0.2 + random.uniform()), () => {
        network.heal();
        tell('world', { event: 'heal' });
      });
    });
  }
  if (decay > 0) {
    // Of what lies in two places one copy rots, never both: what then is not promised, see
    // docs/how-to/plan-a-federation.md. An adapter lies nowhere but at the aggregator before somebody has adopted it.
    const rotted = new Set<Sha256>();
    const honest = participants.filter(({ hostile }) => !hostile);
    const lieElsewhere = (blob: Sha256): boolean =>
      honest.some(({ machine: { disk } }) => disk.blob(blob) !== undefined);
    repeatedly(roundTime / decay, () => {
      const { machine, name } = anyMachine();
      const only = [...aggregator.adapters].filter((blob) => !lieElsewhere(blob));
      const blob = machine.disk.decay(random, new Set([...rotted, ...only]));
      if (blob === undefined) return;
      rotted.add(blob);
      tell(name, { event: 'decay', blob });
    });
  }
  if (skew > 0) {
    repeatedly(roundTime, () => {
      const { machine, name } = anyMachine();
      machine.skew = Math.round((2 * random.uniform() - 1) * skew);
      tell(name, { event: 'clock', skew: machine.skew });
    });
  }
}

/** Ends what is left of the troubles. */
export function calm({ network, tell }: World, { aggregator, participants }: Troubled): void {
  network.heal();
  tell('world', { event: 'heal' });
  for (const { machine } of [aggregator, ...participants]) machine.crashChance = 0;
}
