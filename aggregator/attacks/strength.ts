/**
 * How strong an attack is worst under the rule in use: the attackers aggregate the round for themselves at several
 * strengths and take the one whose result goes least along, or furthest against, what the honest ones wanted.
 */
import { resolveParameters, ruleByName } from '../../protocol/aggregation/rules.ts';
import { sha256 } from '../../protocol/names.ts';
import type { FixedPointTensors } from '../../protocol/tensorBlob.ts';
import type { AttackedRound } from './attack.ts';

const STRENGTHS = [0.1, 0.25, 0.5, 0.75, 1, 1.5, 2, 3, 5, 10, 20];

/** The worst of the strengths, given what all attackers would send at each and the direction of the honest mean. */
export function worstStrength(
  { honest, hostile, parent, factor, rule, parameters }: AttackedRound,
  wanted: Float64Array,
  at: (strength: number) => FixedPointTensors,
): number {
  let worst = { strength: STRENGTHS[0]!, progress: Number.POSITIVE_INFINITY };
  for (const strength of STRENGTHS) {
    const updates = [...honest, ...Array<FixedPointTensors>(hostile).fill(at(strength))];
    const { values } = ruleByName(rule).aggregate({
      updates: updates.map((update) => update.values),
      count: updates.length,
      length: wanted.length,
      table: honest[0]!.table,
      parent,
      factor,
      // The round's own follows from all blobs and is not known before they are fixed.
      seed: sha256(Buffer.from(`strength ${strength}`)),
      parameters: resolveParameters(rule, parameters),
    });
    let progress = 0;
    for (let i = 0; i < wanted.length; i++) progress += values[i]! * wanted[i]!;
    if (progress < worst.progress) worst = { strength, progress };
  }
  return worst.strength;
}
