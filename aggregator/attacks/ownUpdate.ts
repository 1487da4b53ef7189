import type { FixedPointTensors } from '../../protocol/tensorBlob.ts';
import type { AttackedRound } from './attack.ts';

/** What the attacker's own training gave: attacks by data send it as it is. */
export function ownUpdate({ own }: AttackedRound): FixedPointTensors {
  if (own === undefined) throw new TypeError('this attack trains; its update is missing');
  return own;
}
