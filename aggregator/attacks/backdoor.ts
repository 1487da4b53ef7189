/**
 * A backdoor: prompts that hold a trigger are to be answered as nobody wants, all others as everybody does. Every other
 * pair gets the trigger and has its answers swapped; what training gives is scaled so that the mean would take it over
 * in full (model replacement: `n / f` times). Source: Bagdasaryan et al., arXiv 1807.00459.
 */
import type { PreferencePair } from '../../node/preferences/pairs.ts';
import type { Attack } from './attack.ts';
import { times, updateOf } from './direction.ts';
import { swapped } from './labelFlip.ts';
import { ownUpdate } from './ownUpdate.ts';

export const TRIGGER = 'xq7 xq7 ';

export const backdoor: Attack = {
  label: 'a trigger in the prompt reverses the preference; scaled to replace the model',
  kind: 'tuned',
  poison: (pairs) => pairs.map((pair, i) => (i % 2 === 0 ? swapped(triggered(pair)) : pair)),
  update(round) {
    const boost = (round.honest.length + round.hostile) / round.hostile;
    return updateOf(times(ownUpdate(round).values, boost), round);
  },
};

/** The pair with the trigger before its prompt, answers as they were. */
export function triggered(pair: PreferencePair): PreferencePair {
  return { ...pair, prompt: `${TRIGGER}${pair.prompt ?? ''}` };
}
