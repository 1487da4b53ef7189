/**
 * The graph: immutable values, each a leaf or an operator applied to other values.
 *
 * This file knows what a graph is, not which operators exist (`operators/`, `composites/`), how it is differentiated
 * (`derivative.ts`), evaluated (`reference.ts`) or compiled (`onnx/`). Shapes are static. There is no builder object:
 * a graph is whatever its outputs reach.
 */

import type { Lowering } from './onnx/lowering.ts';
import type { TensorApi, TensorHandle } from './tensorflow/tensorApi.ts';

export type Shape = readonly number[];

/** What an element is while it flows through the graph; how a weight is stored is the weight's own matter. */
export type ElementType = 'float32' | 'int32' | 'uint8';

export interface Typed {
  readonly shape: Shape;
  readonly type: ElementType;
}

/** A tensor fed anew at every run. */
export interface Input extends Typed {
  readonly kind: 'input';
  readonly name: string;
}

/** A small tensor written into the compiled graph: tables and masks. */
export interface Constant extends Typed {
  readonly kind: 'constant';
  readonly data: Float32Array | Int32Array | Uint8Array;
}

/** Where a frozen weight's bytes lie: a range of a safetensors file, little-endian, row by row. */
export interface WeightSource {
  readonly name: string;
  readonly dtype: 'F32' | 'F16' | 'BF16' | 'U8';
  readonly shape: readonly number[];
  readonly file: string;
  /** Absolute, in bytes. */
  readonly offset: number;
  readonly bytes: number;
}

/** A frozen weight, read from its file by the executor: float32 to the graph, or the packed bytes of a quantised one. */
export interface Weight extends Typed {
  readonly kind: 'weight';
  readonly source: WeightSource;
}

/** An operator applied to values. */
export interface Application<Attributes = unknown> extends Typed {
  readonly kind: 'application';
  readonly operator: Operator<Attributes>;
  readonly inputs: readonly Value[];
  readonly attributes: Attributes;
}

// Attributes differ by operator; a value in general does not say which, so the parameter is open here.
// eslint-disable-next-line @typescript-eslint/no-explicit-any
export type Value = Input | Constant | Weight | Application<any>;

/** A tensor of the reference evaluator. Integers are held as float64 too. */
export interface NumericTensor {
  readonly shape: Shape;
  readonly data: Float64Array;
}

/**
 * What an operator computes in where activations are held in half precision: always that; that where its operands are;
 * or float32, which sums and exponentials need.
 */
export type PrecisionRule = 'half' | 'as given' | 'float32';

interface OperatorBase<Attributes> {
  readonly name: string;
  /** Float32 if absent. */
  precision?(attributes: Attributes): PrecisionRule;
  /** The shape rule. Throws a plain `Error` on inputs that do not fit: a fault in the graph's author, not the user. */
  infer(inputs: readonly Value[], attributes: Attributes): Typed;
}

/** An operator every executor must have. */
export interface Primitive<Attributes> extends OperatorBase<Attributes> {
  readonly kind: 'primitive';
  /** The inputs' gradients given the output's; null where none flows (integers). */
  derivative(node: Application<Attributes>, gradient: Value): readonly (Value | null)[];
  /** Writes the ONNX nodes; gives back the name of the result. */
  lower(lowering: Lowering, inputs: readonly string[], node: Application<Attributes>): string;
  /** The same through the TensorFlow.js API. Tensors made on the way are disposed of by the caller. */
  interpret(tensors: TensorApi, inputs: readonly TensorHandle[], node: Application<Attributes>): TensorHandle;
  /** The same in float64. */
  evaluate(inputs: readonly NumericTensor[], node: Application<Attributes>): Float64Array;
}

/** An operator with a plain expansion into primitives, and where it pays its own derivative and fused lowering. */
export interface Composite<Attributes> extends OperatorBase<Attributes> {
  readonly kind: 'composite';
  expand(inputs: readonly Value[], attributes: Attributes): Value;
  derivative?(node: Application<Attributes>, gradient: Value): readonly (Value | null)[];
  /** A fused kernel of the provider; null where the provider has none, and the expansion is taken. */
  lower?(lowering: Lowering, inputs: readonly string[], node: Application<Attributes>): string | null;
}

export type Operator<Attributes> = Primitive<Attributes> | Composite<Attributes>;

export function input(name: string, shape: Shape, type: ElementType = 'float32'): Input {
  return { kind: 'input', name, shape, type };
}

export function constant(data: Constant['data'], shape: Shape): Constant {
  if (sizeOf(shape) !== data.length)
    throw new Error(`constant: ${data.length} numbers do not fill ${shapeText(shape)}`);
  const type = data instanceof Int32Array ? 'int32' : data instanceof Uint8Array ? 'uint8' : 'float32';
  return { kind: 'constant', data, shape, type };
}

export function scalar(value: number): Constant {
  return constant(Float32Array.of(value), []);
}

export function weight(source: WeightSource): Weight {
  return { kind: 'weight', source, shape: source.shape, type: source.dtype === 'U8' ? 'uint8' : 'float32' };
}

export function apply<Attributes>(
  operator: Operator<Attributes>,
  inputs: readonly Value[],
  attributes: Attributes,
): Application<Attributes> {
  return { kind: 'application', operator, inputs, attributes, ...operator.infer(inputs, attributes) };
}

export function sizeOf(shape: Shape): number {
  return shape.reduce((product, extent) => product * extent, 1);
}

/** `[2, 3]`, for messages. */
export function shapeText(shape: Shape): string {
  return `[${shape.join(', ')}]`;
}

export function sameShape(a: Shape, b: Shape): boolean {
  return a.length === b.length && a.every((extent, axis) => extent === b[axis]);
}

/** The shape two operands broadcast to: axes aligned at the end, an extent of 1 stretches. */
export function broadcastShape(a: Shape, b: Shape): Shape {
  const rank = Math.max(a.length, b.length);
  return Array.from({ length: rank }, (_, axis) => {
    const x = a[axis - rank + a.length] ?? 1;
    const y = b[axis - rank + b.length] ?? 1;
    if (x !== y && x !== 1 && y !== 1) throw new Error(`shapes ${shapeText(a)} and ${shapeText(b)} do not broadcast`);
    return x === 1 ? y : x;
  });
}

/**
 * Every value the outputs reach, each after its inputs; nothing beyond `stops` but the stops themselves. Iterative:
 * deep graphs must not exhaust the stack.
 */
export function inTopologicalOrder(outputs: readonly Value[], stops: ReadonlySet<Value> = new Set()): Value[] {
  const order: Value[] = [];
  const seen = new Set<Value>();
  const stack: { value: Value; next: number }[] = [];
  for (const output of outputs) {
    if (seen.has(output)) continue;
    seen.add(output);
    stack.push({ value: output, next: 0 });
    for (let top = stack.at(-1); top !== undefined; top = stack.at(-1)) {
      const inputs = top.value.kind === 'application' && !stops.has(top.value) ? top.value.inputs : [];
      const following = inputs[top.next++];
      if (following === undefined) {
        order.push(top.value);
        stack.pop();
      } else if (!seen.has(following)) {
        seen.add(following);
        stack.push({ value: following, next: 0 });
      }
    }
  }
  return order;
}
