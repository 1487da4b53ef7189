/**
 * Operators that work element by element, with broadcasting for the binary ones.
 */

import {
  apply,
  broadcastShape,
  scalar,
  sizeOf,
  type NumericTensor,
  type PrecisionRule,
  type Primitive,
  type Value,
} from '../graph.ts';
import { ELEMENT_TYPE } from '../onnx/schema.ts';
import { sumTo } from './broadcasting.ts';

type Plain = Record<never, never>;
const PLAIN: Plain = {};

interface BinaryRule {
  readonly name: string;
  readonly precision?: PrecisionRule;
  /** The operator's names in ONNX and in TensorFlow.js. */
  readonly onnx: string;
  readonly tensorflow: 'add' | 'sub' | 'mul' | 'div';
  compute(a: number, b: number): number;
  /** Gradients before they are summed over broadcast axes. */
  derivative(a: Value, b: Value, output: Value, gradient: Value): readonly [Value, Value];
}

function binary(rule: BinaryRule): Primitive<Plain> {
  return {
    kind: 'primitive',
    name: rule.name,
    infer: ([a, b]) => ({ shape: broadcastShape(a!.shape, b!.shape), type: 'float32' }),
    precision: () => rule.precision ?? 'float32',
    derivative(node, gradient) {
      const [a, b] = node.inputs as [Value, Value];
      const [forA, forB] = rule.derivative(a, b, node, gradient);
      return [sumTo(forA, a.shape), sumTo(forB, b.shape)];
    },
    lower: (lowering, inputs) => lowering.emit(rule.onnx, inputs),
    interpret: (tensors, [a, b]) => tensors[rule.tensorflow](a!, b!),
    evaluate([a, b], node) {
      const [left, right] = [broadcastIndices(a!, node.shape), broadcastIndices(b!, node.shape)];
      return Float64Array.from({ length: sizeOf(node.shape) }, (_, i) =>
        rule.compute(a!.data[left[i]!]!, b!.data[right[i]!]!),
      );
    },
  };
}

interface UnaryRule {
  readonly name: string;
  readonly precision?: PrecisionRule;
  readonly onnx: string;
  readonly tensorflow: 'neg' | 'exp' | 'log' | 'sqrt' | 'sigmoid' | 'softplus' | 'sign' | 'relu';
  compute(x: number): number;
  derivative(x: Value, output: Value, gradient: Value): Value | null;
}

function unary(rule: UnaryRule): Primitive<Plain> {
  return {
    kind: 'primitive',
    name: rule.name,
    infer: ([x]) => ({ shape: x!.shape, type: 'float32' }),
    precision: () => rule.precision ?? 'float32',
    derivative: (node, gradient) => [rule.derivative(node.inputs[0]!, node, gradient)],
    lower: (lowering, inputs) => lowering.emit(rule.onnx, inputs),
    interpret: (tensors, [x]) => tensors[rule.tensorflow](x!),
    evaluate: ([x]) => x!.data.map((element) => rule.compute(element)),
  };
}

const ADD = binary({
  name: 'add',
  precision: 'as given',
  onnx: 'Add',
  tensorflow: 'add',
  compute: (a, b) => a + b,
  derivative: (_a, _b, _y, g) => [g, g],
});

const SUBTRACT = binary({
  name: 'subtract',
  precision: 'as given',
  onnx: 'Sub',
  tensorflow: 'sub',
  compute: (a, b) => a - b,
  derivative: (_a, _b, _y, g) => [g, negate(g)],
});

const MULTIPLY = binary({
  name: 'multiply',
  precision: 'as given',
  onnx: 'Mul',
  tensorflow: 'mul',
  compute: (a, b) => a * b,
  derivative: (a, b, _y, g) => [multiply(g, b), multiply(g, a)],
});

const DIVIDE = binary({
  name: 'divide',
  onnx: 'Div',
  tensorflow: 'div',
  compute: (a, b) => a / b,
  derivative: (_a, b, y, g) => [divide(g, b), negate(multiply(g, divide(y, b)))],
});

const NEGATE = unary({
  name: 'negate',
  precision: 'as given',
  onnx: 'Neg',
  tensorflow: 'neg',
  compute: (x) => -x,
  derivative: (_x, _y, g) => negate(g),
});

const EXPONENTIAL = unary({
  name: 'exponential',
  onnx: 'Exp',
  tensorflow: 'exp',
  compute: Math.exp,
  derivative: (_x, y, g) => multiply(g, y),
});

const LOGARITHM = unary({
  name: 'logarithm',
  onnx: 'Log',
  tensorflow: 'log',
  compute: Math.log,
  derivative: (x, _y, g) => divide(g, x),
});

const SQUARE_ROOT = unary({
  name: 'squareRoot',
  onnx: 'Sqrt',
  tensorflow: 'sqrt',
  compute: Math.sqrt,
  derivative: (_x, y, g) => divide(multiply(g, scalar(0.5)), y),
});

const SIGMOID = unary({
  name: 'sigmoid',
  precision: 'as given',
  onnx: 'Sigmoid',
  tensorflow: 'sigmoid',
  compute: (x) => 1 / (1 + Math.exp(-x)),
  derivative: (_x, y, g) => multiply(g, multiply(y, subtract(scalar(1), y))),
});

/** `log(1 + exp(x))`, without overflow: `max(x, 0) + log1p(exp(-|x|))`. */
const SOFTPLUS = unary({
  name: 'softplus',
  onnx: 'Softplus',
  tensorflow: 'softplus',
  compute: (x) => Math.max(x, 0) + Math.log1p(Math.exp(-Math.abs(x))),
  derivative: (x, _y, g) => multiply(g, sigmoid(x)),
});

/** -1, 0 or 1. */
const SIGN: Primitive<Plain> = {
  ...unary({ name: 'sign', onnx: 'Sign', tensorflow: 'sign', compute: Math.sign, derivative: () => null }),
  lower(lowering, [x]) {
    if (lowering.device !== 'webgpu') return lowering.emit('Sign', [x!]);
    // No kernel there.
    const holds = (comparison: string): string =>
      lowering.emit('Cast', [lowering.emit(comparison, [x!, lowering.float(0)])], { to: ELEMENT_TYPE.float32 });
    return lowering.emit('Sub', [holds('Greater'), holds('Less')]);
  },
};

/** `max(0, x)`, with slope 0 at 0. */
const RELU = unary({
  name: 'relu',
  onnx: 'Relu',
  tensorflow: 'relu',
  compute: (x) => Math.max(0, x),
  derivative: (_x, y, g) => multiply(g, sign(y)),
});

export const add = (a: Value, b: Value): Value => apply(ADD, [a, b], PLAIN);
export const subtract = (a: Value, b: Value): Value => apply(SUBTRACT, [a, b], PLAIN);
export const multiply = (a: Value, b: Value): Value => apply(MULTIPLY, [a, b], PLAIN);
export const divide = (a: Value, b: Value): Value => apply(DIVIDE, [a, b], PLAIN);
export const negate = (x: Value): Value => apply(NEGATE, [x], PLAIN);
export const exponential = (x: Value): Value => apply(EXPONENTIAL, [x], PLAIN);
export const logarithm = (x: Value): Value => apply(LOGARITHM, [x], PLAIN);
export const squareRoot = (x: Value): Value => apply(SQUARE_ROOT, [x], PLAIN);
export const sigmoid = (x: Value): Value => apply(SIGMOID, [x], PLAIN);
export const softplus = (x: Value): Value => apply(SOFTPLUS, [x], PLAIN);
export const sign = (x: Value): Value => apply(SIGN, [x], PLAIN);
export const relu = (x: Value): Value => apply(RELU, [x], PLAIN);

/** For each element of `shape`, the index of the element of `tensor` that is stretched onto it. */
function broadcastIndices(tensor: NumericTensor, shape: readonly number[]): Int32Array {
  const indices = new Int32Array(sizeOf(shape));
  let repeat = 1;
  let stride = 1;
  for (let axis = shape.length - 1; axis >= 0; axis--) {
    const extent = shape[axis]!;
    const own = tensor.shape[axis - shape.length + tensor.shape.length] ?? 1;
    if (own !== 1) {
      for (let i = 0; i < indices.length; i++) indices[i]! += (Math.floor(i / repeat) % extent) * stride;
      stride *= own;
    }
    repeat *= extent;
  }
  return indices;
}
