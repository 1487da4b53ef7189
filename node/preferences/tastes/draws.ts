/**
 * Reproducible choices. A stream is named by a key (`draws('evaluation', 7)`), so that what one part draws never
 * shifts what another part draws.
 */
import { RandomStream } from '../../training/randomStream.ts';

export interface Draws {
  /** True at even odds. */
  coin(): boolean;
  /** True with the given probability. */
  chance(probability: number): boolean;
  /** Uniform integer in [0, bound). */
  below(bound: number): number;
  /** One of a list that is not empty. */
  pick<T>(list: readonly T[]): T;
  /** A new array in random order. */
  shuffled<T>(list: readonly T[]): T[];
}

/** A stream of choices that depends on the key alone. */
export function draws(...key: readonly (string | number)[]): Draws {
  const stream = new RandomStream('tastes', ...key);
  const below = (bound: number): number => Math.floor(stream.uniform() * bound);
  return {
    coin: () => stream.uniform() < 0.5,
    chance: (probability) => stream.uniform() < probability,
    below,
    pick: (list) => {
      if (list.length === 0) throw new RangeError('nothing to pick from');
      return list[below(list.length)]!;
    },
    shuffled: (list) => stream.permutation(list.length).map((index) => list[index]!),
  };
}
