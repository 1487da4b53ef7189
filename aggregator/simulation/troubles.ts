/** The troubles of a run beyond the everyday ones: crashes, partitions, rotting disks, clocks that jump. */
import { RandomStream } from '../../node/training/randomStream.ts';
import type { SimulationOptions } from './options.ts';
import type { SimulatedAggregator } from './simulatedAggregator.ts';
import type { SimulatedParticipant } from './simulatedParticipant.ts';
import type { World } from './world.ts';

export function unleash(
  options: SimulationOptions,
  world: World,
  aggregator: SimulatedAggregator,
  participants: readonly SimulatedParticipant[],
): void {
  const random = new RandomStream('simulation', world.seed, 'troubles');
  for (const { machine } of participants) machine.downtime = () => options.roundTime * (0.1 + random.uniform());
  aggregator.machine.downtime = () => 5_000 + 0.2 * options.roundTime * random.uniform();
}
