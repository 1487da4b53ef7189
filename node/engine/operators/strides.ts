/**
 * Walking tensors by strides, for the plain evaluation of operators.
 */

import { sizeOf, type Shape } from '../graph.ts';

/** How far apart neighbours along each axis lie, rows last. */
export function stridesOf(shape: Shape): number[] {
  const strides = shape.map(() => 1);
  for (let axis = shape.length - 2; axis >= 0; axis--) strides[axis] = strides[axis + 1]! * shape[axis + 1]!;
  return strides;
}

/** Visits every index of `shape` in row order, with its place under the given strides and its running number. */
export function forEachIndex(
  shape: Shape,
  strides: readonly number[],
  offset: number,
  visit: (at: number, i: number) => void,
) {
  const counter = shape.map(() => 0);
  const size = sizeOf(shape);
  let at = offset;
  for (let i = 0; i < size; i++) {
    visit(at, i);
    for (let axis = shape.length - 1; axis >= 0; axis--) {
      at += strides[axis]!;
      if (++counter[axis]! < shape[axis]!) break;
      at -= strides[axis]! * shape[axis]!;
      counter[axis] = 0;
    }
  }
}

/** The elements at every index of `shape`, read at the given strides. */
export function gatherByStrides(
  data: Float64Array,
  shape: Shape,
  strides: readonly number[],
  offset: number,
): Float64Array {
  const result = new Float64Array(sizeOf(shape));
  forEachIndex(shape, strides, offset, (at, i) => (result[i] = data[at]!));
  return result;
}
