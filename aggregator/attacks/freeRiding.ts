/** Takes part without training: sends nothing, or what somebody else has sent. */
import type { Attack } from './attack.ts';
import { lengthOf, normal, updateOf, usualLength } from './direction.ts';

export const zero: Attack = {
  label: 'updates of zeros',
  kind: 'crude',
  update: (round) => updateOf(new Float64Array(round.honest[0]!.values.length), round),
};

/** All copy the same one, which therefore counts as many times. */
export const copied: Attack = {
  label: 'all send a copy of the same honest update',
  kind: 'crude',
  update: ({ honest }) => honest[0]!,
};

/** How long the noise is that hides a copy, in usual lengths of an update. */
const DISGUISE = 0.3;

/** The same, with noise over each copy so that no two are equal. Source: Karimireddy et al., arXiv 2006.09365. */
export const mimic: Attack = {
  label: 'all send the same honest update under a little noise of their own',
  kind: 'tuned',
  update(round) {
    const { values } = round.honest[0]!;
    const noise = Float64Array.from(values, () => normal(round.random));
    const scale = (DISGUISE * usualLength(round)) / lengthOf(noise);
    return updateOf(
      noise.map((value, i) => values[i]! + scale * value),
      round,
    );
  },
};
