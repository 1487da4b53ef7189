/** Normal noise, in every coordinate 100 times as wide as the honest values are. Source: byzfl, `Gaussian`. */
import type { Attack } from './attack.ts';
import { lengthOf, normal, updateOf, usualLength } from './direction.ts';

const WIDTH = 100;

export const noise: Attack = {
  label: `noise ${WIDTH} times as wide as the honest values`,
  kind: 'crude',
  update(round) {
    const noise = Float64Array.from(round.honest[0]!.values, () => normal(round.random));
    const scale = (WIDTH * usualLength(round)) / lengthOf(noise);
    return updateOf(
      noise.map((value) => value * scale),
      round,
    );
  },
};
