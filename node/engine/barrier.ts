/**
 * An order of computing, where a graph by itself leaves it open: `x + 0 · (a part of y)` is `x`, but cannot be had
 * before `y`. No executor merges it with `x`, or takes it earlier. Where `y` is not finite, nothing after it is.
 */

import { scalar, type Value } from './graph.ts';
import { sum } from './operators/broadcasting.ts';
import { add, multiply } from './operators/elementwise.ts';
import { slice } from './operators/layout.ts';

/** `x`, to be had only once some other value is. */
export type Barrier = (x: Value) => Value;

export function barrierAfter(value: Value): Barrier {
  const { shape } = value;
  const first = slice(
    value,
    shape.map(() => 0),
    shape.map((extent, axis) => (axis === shape.length - 1 ? extent : 1)),
  );
  const nothing = multiply(sum(first, [...shape.keys()]), scalar(0));
  return (x) => add(x, nothing);
}
