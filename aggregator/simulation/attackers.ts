/** What hostile participants do, by name. */
import { withinNorm } from '../../node/participant/roundWork.ts';
import type { RandomStream } from '../../node/training/randomStream.ts';
import type { Identity } from '../../protocol/identity.ts';
import type { Factor } from '../../protocol/messages.ts';
import type { Sha256 } from '../../protocol/names.ts';
import type { FixedPointTensors } from '../../protocol/tensorBlob.ts';
import { NORM_BOUND } from './learning.ts';
import type { SimulatedProcess } from './machine.ts';
import type { World } from './world.ts';

export interface Attacker {
  /** How many pairs it says it has. */
  readonly pairs?: number;
  /** What it sends in place of its honest update. */
  readonly update?: (honest: FixedPointTensors, round: AttackedRound) => FixedPointTensors;
  /** What it serves in place of a blob; may throw. */
  readonly serve?: (hash: Sha256) => Uint8Array | undefined;
  /** What it does besides, from the start of its process on. */
  readonly mischief?: (context: MischiefContext) => void;
}

export interface AttackedRound {
  readonly round: number;
  readonly factor: Factor;
  readonly parent: FixedPointTensors;
  readonly world: World;
}

export interface MischiefContext {
  readonly process: SimulatedProcess;
  readonly world: World;
  readonly random: RandomStream;
  readonly identity: Identity;
}

export const ATTACKS = {
  'sign-flip': () => ({ update: (honest) => times(honest, -1) }),
  scaled: () => ({ update: (honest) => times(honest, 20) }),
  zero: () => ({ update: (honest) => times(honest, 0) }),
} as const satisfies Record<string, () => Attacker>;

export type AttackName = keyof typeof ATTACKS;

/** The update times a number, within the bound on its length: beyond it nobody takes it. */
function times(update: FixedPointTensors, factor: number): FixedPointTensors {
  const values = update.values.map((value) => Math.max(-(2 ** 30), Math.min(2 ** 30, value * factor)));
  return withinNorm({ ...update, values }, NORM_BOUND);
}
