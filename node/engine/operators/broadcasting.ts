/**
 * Stretching along axes and summing over them: each is the other's derivative.
 */

import { apply, sameShape, sizeOf, type Primitive, type Shape, type Value } from '../graph.ts';
import { reshape } from './layout.ts';
import { gatherByStrides, stridesOf } from './strides.ts';

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
  interpret: (tensors, [x], { attributes: { axes, keepAxes } }) => tensors.sum(x!, axes, keepAxes),
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

const EXPAND: Primitive<{ readonly shape: Shape }> = {
  kind: 'primitive',
  name: 'expand',
  precision: () => 'as given',
  infer: ([x], { shape }) => ({ shape, type: x!.type }),
  derivative: (node, gradient) => [sumTo(gradient, node.inputs[0]!.shape)],
  lower: (lowering, [x], { attributes }) => lowering.emit('Expand', [x!, lowering.int64(attributes.shape)]),
  interpret: (tensors, [x], { shape }) => tensors.broadcastTo(x!, shape),
  evaluate([x], { shape }) {
    const own = stridesOf(x!.shape);
    const lead = shape.length - x!.shape.length;
    const strides = shape.map((_, axis) => (axis < lead || x!.shape[axis - lead] === 1 ? 0 : own[axis - lead]!));
    return gatherByStrides(x!.data, shape, strides, 0);
  },
};

/** Sum over `axes` (negative ones count from the end); `keepAxes` leaves them with extent 1. */
export function sum(x: Value, axes: readonly number[], keepAxes = false): Value {
  return apply(SUM, [x], { axes: axes.map((axis) => (axis < 0 ? axis + x.shape.length : axis)), keepAxes });
}

/** `x` stretched to `shape` by broadcasting. */
export function expand(x: Value, shape: Shape): Value {
  return sameShape(x.shape, shape) ? x : apply(EXPAND, [x], { shape });
}

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
