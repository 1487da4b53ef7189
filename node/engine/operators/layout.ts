/**
 * Operators that move elements without changing them.
 */

import { apply, sameShape, sizeOf, type Primitive, type Shape, type Value, shapeText } from '../graph.ts';
import { forEachIndex, gatherByStrides, stridesOf } from './strides.ts';

const RESHAPE: Primitive<{ readonly shape: Shape }> = {
  kind: 'primitive',
  name: 'reshape',
  precision: () => 'as given',
  infer([x], { shape }) {
    if (sizeOf(shape) !== sizeOf(x!.shape))
      throw new Error(`reshape: ${shapeText(x!.shape)} does not fill ${shapeText(shape)}`);
    return { shape, type: x!.type };
  },
  derivative: (node, gradient) => [reshape(gradient, node.inputs[0]!.shape)],
  lower: (lowering, [x], { attributes }) => lowering.emit('Reshape', [x!, lowering.int64(attributes.shape)]),
  interpret: (tensors, [x], { shape }) => tensors.reshape(x!, shape),
  evaluate: ([x]) => x!.data,
};

const TRANSPOSE: Primitive<{ readonly order: readonly number[] }> = {
  kind: 'primitive',
  name: 'transpose',
  precision: () => 'as given',
  infer([x], { order }) {
    if (
      !sameShape(
        [...order].sort((a, b) => a - b),
        [...x!.shape.keys()],
      )
    )
      throw new Error(`transpose: ${shapeText(order)} is no order of axes`);
    return { shape: order.map((axis) => x!.shape[axis]!), type: x!.type };
  },
  derivative({ attributes: { order } }, gradient) {
    return [
      transpose(
        gradient,
        [...order.keys()].map((axis) => order.indexOf(axis)),
      ),
    ];
  },
  lower: (lowering, inputs, { attributes }) => lowering.emit('Transpose', inputs, { perm: attributes.order }),
  interpret: (tensors, [x], { attributes }) => tensors.transpose(x!, attributes.order),
  evaluate([x], { shape, attributes: { order } }) {
    const strides = stridesOf(x!.shape);
    return gatherByStrides(
      x!.data,
      shape,
      order.map((axis) => strides[axis]!),
      0,
    );
  },
};

export interface SliceAttributes {
  /** First index and extent of the part, per axis. */
  readonly starts: readonly number[];
  readonly extents: readonly number[];
}

const SLICE: Primitive<SliceAttributes> = {
  kind: 'primitive',
  name: 'slice',
  precision: () => 'as given',
  infer([x], { starts, extents }) {
    const fits = x!.shape.every((extent, axis) => starts[axis]! >= 0 && starts[axis]! + extents[axis]! <= extent);
    if (!fits || starts.length !== x!.shape.length)
      throw new Error(`slice: ${shapeText(extents)} from ${shapeText(starts)} on is not within ${shapeText(x!.shape)}`);
    return { shape: extents, type: x!.type };
  },
  derivative: (node, gradient) => [pad(gradient, node.attributes.starts, node.inputs[0]!.shape)],
  lower(lowering, [x], { inputs, attributes: { starts, extents } }) {
    const axes = extents.flatMap((extent, axis) => (extent === inputs[0]!.shape[axis] ? [] : [axis]));
    const first = axes.map((axis) => starts[axis]!);
    const end = axes.map((axis) => starts[axis]! + extents[axis]!);
    return lowering.emit('Slice', [x!, lowering.int64(first), lowering.int64(end), lowering.int64(axes)]);
  },
  interpret: (tensors, [x], { attributes: { starts, extents } }) => tensors.slice(x!, starts, extents),
  evaluate([x], { shape, attributes: { starts } }) {
    const strides = stridesOf(x!.shape);
    return gatherByStrides(
      x!.data,
      shape,
      strides,
      starts.reduce((at, start, axis) => at + start * strides[axis]!, 0),
    );
  },
};

interface PadAttributes {
  /** Where the input begins within the result, per axis; the rest is zero. */
  readonly starts: readonly number[];
  readonly shape: Shape;
}

const PAD: Primitive<PadAttributes> = {
  kind: 'primitive',
  name: 'pad',
  precision: () => 'as given',
  infer: (_, { shape }) => ({ shape, type: 'float32' }),
  derivative: (node, gradient) => [slice(gradient, node.attributes.starts, node.inputs[0]!.shape)],
  lower(lowering, [x], { inputs, attributes: { starts, shape } }) {
    const after = shape.map((extent, axis) => extent - starts[axis]! - inputs[0]!.shape[axis]!);
    return lowering.emit('Pad', [x!, lowering.int64([...starts, ...after])]);
  },
  interpret(tensors, [x], { attributes: { starts, shape } }) {
    const after = (axis: number): number => shape[axis]! - starts[axis]! - x!.shape[axis]!;
    return tensors.pad(
      x!,
      starts.map((start, axis) => [start, after(axis)]),
    );
  },
  evaluate([x], { shape, inputs, attributes: { starts } }) {
    const result = new Float64Array(sizeOf(shape));
    const strides = stridesOf(shape);
    const offset = starts.reduce((at, start, axis) => at + start * strides[axis]!, 0);
    forEachIndex(inputs[0]!.shape, strides, offset, (target, i) => (result[target] = x!.data[i]!));
    return result;
  },
};

const CONCAT: Primitive<{ readonly axis: number }> = {
  kind: 'primitive',
  name: 'concat',
  precision: () => 'as given',
  infer(parts, { axis }) {
    const shape = [...parts[0]!.shape];
    for (const part of parts.slice(1)) {
      if (!part.shape.every((extent, i) => i === axis || extent === shape[i]))
        throw new Error('concat: extents differ');
      shape[axis]! += part.shape[axis]!;
    }
    return { shape, type: parts[0]!.type };
  },
  derivative({ inputs, attributes: { axis } }, gradient) {
    let start = 0;
    return inputs.map(({ shape }) => {
      const starts = shape.map((_, i) => (i === axis ? start : 0));
      start += shape[axis]!;
      return slice(gradient, starts, shape);
    });
  },
  lower: (lowering, inputs, { attributes }) => lowering.emit('Concat', inputs, { axis: attributes.axis }),
  interpret: (tensors, inputs, { attributes }) => tensors.concat(inputs, attributes.axis),
  evaluate(parts, { shape, attributes: { axis } }) {
    const result = new Float64Array(sizeOf(shape));
    const strides = stridesOf(shape);
    let start = 0;
    for (const part of parts) {
      forEachIndex(part.shape, strides, start * strides[axis]!, (target, i) => (result[target] = part.data[i]!));
      start += part.shape[axis]!;
    }
    return result;
  },
};

export function reshape(x: Value, shape: Shape): Value {
  if (sameShape(x.shape, shape)) return x;
  // Of two reshapes in a row the last decides.
  if (x.kind === 'application' && x.operator === RESHAPE) return reshape(x.inputs[0]!, shape);
  return apply(RESHAPE, [x], { shape });
}

/** Axis `i` of the result is axis `order[i]` of `x`. */
export function transpose(x: Value, order: readonly number[]): Value {
  const long = order.filter((axis) => x.shape[axis] !== 1);
  // Where only axes of extent 1 change places, no element moves: with one new token, heads are folded for nothing.
  if (long.every((axis, i) => i === 0 || axis > long[i - 1]!)) {
    return reshape(
      x,
      order.map((axis) => x.shape[axis]!),
    );
  }
  return apply(TRANSPOSE, [x], { order });
}

/** The part of `x` of the given extents that begins at `starts`. */
export function slice(x: Value, starts: readonly number[], extents: Shape): Value {
  return sameShape(x.shape, extents) ? x : apply(SLICE, [x], { starts, extents });
}

/** The part `[start, start + extent)` of `x` along one axis. */
export function sliceAxis(x: Value, axis: number, start: number, extent: number): Value {
  const at = axis < 0 ? axis + x.shape.length : axis;
  return slice(
    x,
    x.shape.map((_, i) => (i === at ? start : 0)),
    x.shape.map((full, i) => (i === at ? extent : full)),
  );
}

/** `x` laid into zeros of `shape`, beginning at `starts`. */
export function pad(x: Value, starts: readonly number[], shape: Shape): Value {
  return sameShape(x.shape, shape) ? x : apply(PAD, [x], { starts, shape });
}

export function concat(parts: readonly Value[], axis: number): Value {
  return parts.length === 1
    ? parts[0]!
    : apply(CONCAT, parts, { axis: axis < 0 ? axis + parts[0]!.shape.length : axis });
}
