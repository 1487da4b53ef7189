/**
 * Operators along axes: sums, and the softmax family over the last axis.
 */

import { apply, sameShape, sizeOf, type Primitive, type Shape, type Value } from '../graph.ts';
import { multiply, subtract } from './elementwise.ts';
import { expand, reshape } from './layout.ts';

interface SumAttributes {
  readonly axes: readonly number[];
  readonly keepAxes: boolean;
}

const SUM: Primitive<SumAttributes> = {
  kind: 'primitive',
  name: 'sum',
  infer: ([x], { axes, keepAxes }) => ({ shape: reducedShape(x!.shape, axes, keepAxes), type: 'float32' }),
  derivative(node, gradient) {
    const { shape } = node.inputs[0]!;
    return [expand(reshape(gradient, reducedShape(shape, node.attributes.axes, true)), shape)];
  },
  lower: (lowering, [x], { attributes: { axes, keepAxes } }) =>
    lowering.emit('ReduceSum', [x!, lowering.int64(axes)], { keepdims: keepAxes ? 1 : 0 }),
  evaluate([x], node) {
    const kept = reducedShape(x!.shape, node.attributes.axes, true);
    const result = new Float64Array(sizeOf(kept));
    const counter = x!.shape.map(() => 0);
    for (const element of x!.data) {
      let index = 0;
      for (const [axis, extent] of kept.entries()) index = index * extent + (extent === 1 ? 0 : counter[axis]!);
      result[index]! += element;
      for (let axis = counter.length - 1; axis >= 0 && ++counter[axis]! === x!.shape[axis]; axis--) counter[axis] = 0;
    }
    return result;
  },
};

const SOFTMAX: Primitive<Record<never, never>> = {
  kind: 'primitive',
  name: 'softmax',
  infer: ([x]) => ({ shape: x!.shape, type: 'float32' }),
  derivative(node, gradient) {
    const inner = sum(multiply(gradient, node), [-1], true);
    return [multiply(node, subtract(gradient, inner))];
  },
  lower: (lowering, inputs) => lowering.emit('Softmax', inputs, { axis: -1 }),
  evaluate: ([x]) => overRows(x!.data, x!.shape, (element, logSum) => Math.exp(element - logSum)),
};

const LOG_SOFTMAX: Primitive<Record<never, never>> = {
  kind: 'primitive',
  name: 'logSoftmax',
  infer: ([x]) => ({ shape: x!.shape, type: 'float32' }),
  derivative(node, gradient) {
    return [subtract(gradient, multiply(softmax(node.inputs[0]!), sum(gradient, [-1], true)))];
  },
  lower: (lowering, inputs) => lowering.emit('LogSoftmax', inputs, { axis: -1 }),
  evaluate: ([x]) => overRows(x!.data, x!.shape, (element, logSum) => element - logSum),
};

export const REDUCTIONS = { SUM, SOFTMAX, LOG_SOFTMAX };

/** Sum over `axes` (negative ones count from the end); `keepAxes` leaves them with extent 1. */
export function sum(x: Value, axes: readonly number[], keepAxes = false): Value {
  return apply(SUM, [x], { axes: axes.map((axis) => (axis < 0 ? axis + x.shape.length : axis)), keepAxes });
}

export const softmax = (x: Value): Value => apply(SOFTMAX, [x], {});
export const logSoftmax = (x: Value): Value => apply(LOG_SOFTMAX, [x], {});

/** The adjoint of broadcasting: sums over the axes along which a value of `shape` was stretched. */
export function sumTo(x: Value, shape: Shape): Value {
  if (sameShape(x.shape, shape)) return x;
  const lead = x.shape.length - shape.length;
  const axes = x.shape.flatMap((extent, axis) =>
    axis < lead || (shape[axis - lead] === 1 && extent !== 1) ? [axis] : [],
  );
  return reshape(axes.length === 0 ? x : sum(x, axes, true), shape);
}

function reducedShape(shape: Shape, axes: readonly number[], keepAxes: boolean): Shape {
  return shape.flatMap((extent, axis) => (axes.includes(axis) ? (keepAxes ? [1] : []) : [extent]));
}

/** Maps each element with the log-sum-exp of its row (last axis). */
function overRows(data: Float64Array, shape: Shape, map: (element: number, logSum: number) => number): Float64Array {
  const width = shape.at(-1)!;
  const result = new Float64Array(data.length);
  for (let start = 0; start < data.length; start += width) {
    const row = data.subarray(start, start + width);
    const peak = row.reduce((a, b) => Math.max(a, b), -Infinity);
    const logSum = peak + Math.log(row.reduce((total, element) => total + Math.exp(element - peak), 0));
    for (let i = 0; i < width; i++) result[start + i] = map(row[i]!, logSum);
  }
  return result;
}
