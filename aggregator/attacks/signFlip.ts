/** Sends the honest mean backwards. Source: byzfl, `SignFlipping`. */
import type { Attack } from './attack.ts';
import { meanOf, times, updateOf } from './direction.ts';

/** `−factor · mean`: 1 is the plain flip, more scales it too. */
export function signFlip(factor: number): Attack {
  return {
    label: factor === 1 ? 'the honest mean, backwards' : `the honest mean, backwards and ${factor} times as long`,
    kind: 'crude',
    update: (round) => updateOf(times(meanOf(round.honest), -factor), round),
  };
}
