/**
 * The honest change in another gauge: a pair `(B/g, g·A)` has the same product as `(B, A)`, so what the attacker holds
 * behaves as honest training would; but its factors do not fit those of the others.
 */
import { factorOfTensor } from '../../protocol/update.ts';
import { valueCount, type FixedPointTensors } from '../../protocol/tensorBlob.ts';
import type { Attack, AttackedRound } from './attack.ts';
import { atMost, meanOf, updateOf, usualLength } from './direction.ts';
import { LONGEST_TAKEN } from './longestTaken.ts';

export function gauge(g: number): Attack {
  return {
    label: `the honest change with B divided and A multiplied by ${g}`,
    kind: 'tuned',
    update(round) {
      const change = regauged(round, g);
      return updateOf(round.factor === 'both' ? change : atMost(change, LONGEST_TAKEN * usualLength(round)), round);
    },
  };
}

/** `(B + mean)/g − B` of each B, and `g·(A + mean) − A` of each A. */
function regauged({ honest, parent }: AttackedRound, g: number): Float64Array {
  const change = meanOf(honest);
  const before = byName(parent);
  let at = 0;
  for (const tensor of honest[0]!.table) {
    const factor = factorOfTensor(tensor.name) === 'A' ? g : 1 / g;
    const old = before.get(tensor.name)!;
    for (let i = 0; i < valueCount(tensor); i++, at++) change[at] = factor * (old[i]! + change[at]!) - old[i]!;
  }
  return change;
}

function byName({ table, values }: FixedPointTensors): Map<string, Int32Array> {
  let at = 0;
  return new Map(
    table.map((tensor) => {
      const start = at;
      at += valueCount(tensor);
      return [tensor.name, values.subarray(start, at)];
    }),
  );
}
