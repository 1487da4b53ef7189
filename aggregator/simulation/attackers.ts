/**
 * What hostile peers do, by name. Updates are made as in the attacks on real training, at the scale of the stand-in for
 * training; the other attacks are on the protocol.
 */
import { withinNorm } from '../../node/participant/roundWork.ts';
import type { RandomStream } from '../../node/training/randomStream.ts';
import { PrefmeshError, isPrefmeshError } from '../../protocol/errors.ts';
import type { Identity } from '../../protocol/identity.ts';
import { LIMITS } from '../../protocol/limits.ts';
import { roundNumber } from '../../protocol/names.ts';
import type { Sha256 } from '../../protocol/names.ts';
import { sealMessage } from '../../protocol/opening.ts';
import type { FixedPointTensors } from '../../protocol/tensorBlob.ts';
import { identityOf } from './cast.ts';
import { bell, NORM_BOUND } from './learning.ts';
import { nonce, type SimulatedProcess } from './machine.ts';
import type { World } from './world.ts';

/** What a hostile participant does differently. */
export interface Attacker {
  /** How many pairs it says it has. */
  readonly pairs?: number;
  /** What it sends in place of its honest update. */
  readonly update?: (honest: FixedPointTensors, round: AttackedRound) => FixedPointTensors;
  /** Whether it offers a second update beside the first. */
  readonly doubles?: boolean;
  /** What it serves in place of a blob of its own; may throw. */
  readonly serve?: (hash: Sha256, bytes: Uint8Array) => Uint8Array;
  /** What it does besides, from the start of its process on. */
  readonly mischief?: (context: MischiefContext) => void;
}

export interface AttackedRound {
  /** Updates of the honest participants: what an attacker who knows everything knows. */
  readonly others: () => readonly FixedPointTensors[];
  readonly random: RandomStream;
}

export interface MischiefContext {
  readonly process: SimulatedProcess;
  readonly world: World;
  readonly random: RandomStream;
  readonly identity: Identity;
}

const OF_PARTICIPANTS = {
  'sign-flip': { update: (honest) => times(honest, -1) },
  scaled: { update: (honest) => times(honest, 20) },
  noise: { update: (honest, { random }) => made(honest, () => bell(random) * 2 ** honest.bits) },
  zero: { update: (honest) => times(honest, 0) },
  copied: { update: (honest, { others }) => others()[0] ?? honest },
  // Xie et al. 2020: against the mean of the honest ones.
  'inner-product': { update: (honest, { others }) => against(honest, others(), ({ mean }) => -2 * mean) },
  // Baruch et al. 2019: as far from the mean as hides in the spread.
  'little-is-enough': { update: (honest, { others }) => against(honest, others(), ({ mean, sd }) => mean - 1.5 * sd) },
  'pair-count': { update: (honest) => times(honest, -1), pairs: 2 ** 20 },
  'two-updates': { doubles: true },
  withheld: {
    serve: (hash) => {
      throw new PrefmeshError('BLOB_MISSING', { hash });
    },
  },
  'wrong-bytes': {
    serve: (_hash, bytes) => Uint8Array.from(bytes, (byte, i) => (i === bytes.length - 1 ? byte ^ 1 : byte)),
  },
  flood: { mischief: flood },
} as const satisfies Record<string, Attacker>;

/** What an aggregator that lies does. */
const OF_AGGREGATORS = {
  /** Publishes another adapter than the updates give. */
  'wrong-sum': null,
  /** Acknowledges an update and leaves it out. */
  'left-out': null,
  /** Tells half of the participants another history than the others. */
  'two-stories': null,
} as const;

export type AggregatorAttack = keyof typeof OF_AGGREGATORS;
export type ParticipantAttack = keyof typeof OF_PARTICIPANTS;
export type AttackName = ParticipantAttack | AggregatorAttack;

export const ATTACK_NAMES = [...Object.keys(OF_PARTICIPANTS), ...Object.keys(OF_AGGREGATORS)] as readonly AttackName[];

export function isAggregatorAttack(name: AttackName): name is AggregatorAttack {
  return Object.hasOwn(OF_AGGREGATORS, name);
}

export function attackerOf(name: ParticipantAttack): Attacker {
  return OF_PARTICIPANTS[name];
}

/** Values of the same table, within the bound on the update's length: beyond it nobody takes it. */
function made(update: FixedPointTensors, value: (honest: number, index: number) => number): FixedPointTensors {
  const most = 2 ** 30;
  const values = update.values.map((honest, i) => Math.max(-most, Math.min(most, Math.round(value(honest, i)))));
  return withinNorm({ ...update, values }, NORM_BOUND);
}

function times(update: FixedPointTensors, factor: number): FixedPointTensors {
  return made(update, (value) => value * factor);
}

function against(
  honest: FixedPointTensors,
  others: readonly FixedPointTensors[],
  choose: (coordinate: { readonly mean: number; readonly sd: number }) => number,
): FixedPointTensors {
  return made(honest, (own, i) => {
    const values = others.map((other) => other.values[i]!);
    if (values.length === 0) return own;
    const mean = values.reduce((total, value) => total + value, 0) / values.length;
    const variance = values.reduce((total, value) => total + (value - mean) ** 2, 0) / values.length;
    return choose({ mean, sd: Math.sqrt(variance) });
  });
}

/** Milliseconds between two messages of a flood. */
const FLOOD_EVERY = 500;

/** Sends rubbish, messages of a stranger and the same message twice, all the time. */
function flood({ process, world, random, identity }: MischiefContext): void {
  const { federation, network, tell } = world;
  const aggregator = federation.content.aggregators[0]!.id;
  const send = (envelope: Uint8Array): void => {
    const serve = (
      services: { message?: (bytes: Uint8Array, from: typeof identity.id, stop: AbortSignal) => unknown },
      stop: AbortSignal,
    ) => services.message?.(envelope, identity.id, stop);
    network.request(process, aggregator, 'flood', serve).then(
      () => undefined,
      (error: unknown) => {
        if (!isPrefmeshError(error)) return world.onFault(error);
        tell('world', { event: 'attack', attack: 'flood', code: String(error.details.code ?? error.code) });
      },
    );
  };
  const query = (by: Identity): Uint8Array => {
    const now = process.clock.now();
    const round = roundNumber(1);
    const expiresAt = now + LIMITS.requestLifetime.value;
    const header = {
      federation: federation.hash,
      round,
      sequence: now,
      nonce: nonce(random),
      issuedAt: now,
      expiresAt,
    };
    return sealMessage(by, 'round-query', { ...header, recipient: aggregator }).bytes;
  };
  let last = query(identity);
  const kinds = [
    () => Uint8Array.from({ length: 1 + Math.floor(200 * random.uniform()) }, () => Math.floor(256 * random.uniform())),
    () => query(identityOf('stranger', 0)),
    () => last,
    () => (last = query(identity)),
  ];
  const again = (): void => {
    send(kinds[Math.floor(random.uniform() * kinds.length)]!());
    process.clock.after(2 * FLOOD_EVERY * random.uniform(), again);
  };
  again();
}
