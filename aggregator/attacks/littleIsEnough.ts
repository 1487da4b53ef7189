/**
 * A little is enough: `mean − z · deviation` in every coordinate, which stays within the spread of the honest values
 * and so among those that a robust rule keeps. Source: Baruch et al., arXiv 1902.06156.
 */
import type { Attack, AttackedRound } from './attack.ts';
import { deviationOf, meanOf, updateOf } from './direction.ts';
import { worstStrength } from './strength.ts';

export function littleIsEnough(z: number): Attack {
  return {
    label: `little is enough, z = ${z}`,
    kind: 'tuned',
    update: (round) => updateOf(shifted(round)(z), round),
  };
}

/** With the z that is worst under the rule in use. */
export const tunedLittleIsEnough: Attack = {
  label: 'little is enough, z searched against the rule',
  kind: 'tuned',
  update(round) {
    const values = shifted(round);
    const at = (z: number) => updateOf(values(z), round);
    return at(worstStrength(round, meanOf(round.honest), at));
  },
};

function shifted({ honest }: AttackedRound): (z: number) => Float64Array {
  const mean = meanOf(honest);
  const deviation = deviationOf(honest, mean);
  // Against the mean, coordinate by coordinate: by its sign, not by one sign for all.
  return (z) => mean.map((value, i) => value - z * deviation[i]! * Math.sign(value));
}
