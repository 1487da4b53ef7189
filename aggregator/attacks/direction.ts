/** Arithmetic on updates as attackers do it: float64 vectors in units of an update's integers, `[values]`. */
import type { AttackedRound } from './attack.ts';
import type { RandomStream } from '../../node/training/randomStream.ts';
import { LARGEST_VALUE, type FixedPointTensors } from '../../protocol/tensorBlob.ts';

/** The mean of updates, coordinate by coordinate. */
export function meanOf(updates: readonly FixedPointTensors[]): Float64Array {
  const mean = new Float64Array(updates[0]!.values.length);
  for (const { values } of updates) for (let i = 0; i < mean.length; i++) mean[i]! += values[i]! / updates.length;
  return mean;
}

/** The standard deviation of updates about their mean, coordinate by coordinate, over all of them. */
export function deviationOf(updates: readonly FixedPointTensors[], mean: Float64Array): Float64Array {
  const squares = new Float64Array(mean.length);
  for (const { values } of updates) {
    for (let i = 0; i < mean.length; i++) squares[i]! += (values[i]! - mean[i]!) ** 2 / updates.length;
  }
  return squares.map(Math.sqrt);
}

export function times(values: ArrayLike<number>, factor: number): Float64Array {
  return Float64Array.from(values, (value) => value * factor);
}

export function lengthOf(values: ArrayLike<number>): number {
  let squares = 0;
  for (let i = 0; i < values.length; i++) squares += values[i]! * values[i]!;
  return Math.sqrt(squares);
}

/** The middle one of the honest updates' lengths. */
export function usualLength({ honest }: Pick<AttackedRound, 'honest'>): number {
  return honest.map(({ values }) => lengthOf(values)).sort((a, b) => a - b)[honest.length >> 1]!;
}

/** The direction, no longer than `longest`. */
export function atMost(values: Float64Array, longest: number): Float64Array {
  const length = lengthOf(values);
  return length > longest ? times(values, longest / length) : values;
}

/** A standard normal number: twelve uniform ones less six. */
export function normal(random: RandomStream): number {
  let total = -6;
  for (let i = 0; i < 12; i++) total += random.uniform();
  return total;
}

/** The update of these values: within the manifest's bound and the range of integers, rounded towards zero. */
export function updateOf(
  values: Float64Array,
  { honest, normBound }: Pick<AttackedRound, 'honest' | 'normBound'>,
): FixedPointTensors {
  const { bits, table } = honest[0]!;
  const bounded = atMost(values, normBound * 2 ** bits);
  const whole = Int32Array.from(bounded, (value) =>
    Math.trunc(Math.max(-LARGEST_VALUE, Math.min(LARGEST_VALUE, value))),
  );
  return { bits, table, values: whole };
}
