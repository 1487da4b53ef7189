/** The attacks by name. A new one is one file and one line here. */
import type { Attack } from './attack.ts';
import { backdoor } from './backdoor.ts';
import { copied, mimic, zero } from './freeRiding.ts';
import { gauge } from './gauge.ts';
import { tunedInnerProduct } from './innerProduct.ts';
import { labelFlip } from './labelFlip.ts';
import { tunedLittleIsEnough } from './littleIsEnough.ts';
import { noise } from './noise.ts';
import { nullProduct } from './nullProduct.ts';
import { pairCounts } from './pairCounts.ts';
import { signFlip } from './signFlip.ts';

export const ATTACKS = {
  'sign-flip': signFlip(1),
  scaled: signFlip(10),
  noise,
  zero,
  copied,
  'label-flip': labelFlip,
  'pair-counts': pairCounts,
  'inner-product': tunedInnerProduct,
  'little-is-enough': tunedLittleIsEnough,
  mimic,
  backdoor,
  'null-product': nullProduct,
  gauge: gauge(50),
} as const satisfies Record<string, Attack>;

export type AttackName = keyof typeof ATTACKS;

export const ATTACK_NAMES = Object.keys(ATTACKS) as [AttackName, ...AttackName[]];

export function attackByName(name: AttackName): Attack {
  return ATTACKS[name];
}
