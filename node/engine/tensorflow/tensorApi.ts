/**
 * The part of the TensorFlow.js API that operators are interpreted with.
 *
 * Written down here as a structure rather than imported, so that neither the program nor its type check needs a
 * package that most people do not install.
 */

import type { ElementType } from '../graph.ts';

/** A tensor of TensorFlow.js: freed by `dispose`, not by the garbage collector. */
export interface TensorHandle {
  readonly shape: readonly number[];
  data(): Promise<Float32Array | Int32Array>;
  dispose(): void;
}

type Unary = (x: TensorHandle) => TensorHandle;
type Binary = (a: TensorHandle, b: TensorHandle) => TensorHandle;
type Extents = readonly number[];

export interface TensorApi {
  readonly add: Binary;
  readonly sub: Binary;
  readonly mul: Binary;
  readonly div: Binary;
  readonly neg: Unary;
  readonly exp: Unary;
  readonly log: Unary;
  readonly sqrt: Unary;
  readonly sigmoid: Unary;
  readonly softplus: Unary;
  readonly sign: Unary;
  readonly relu: Unary;
  readonly softmax: Unary;
  readonly logSoftmax: Unary;
  sum(x: TensorHandle, axes: Extents, keepAxes: boolean): TensorHandle;
  broadcastTo(x: TensorHandle, shape: Extents): TensorHandle;
  matMul(a: TensorHandle, b: TensorHandle, transposeA: boolean, transposeB: boolean): TensorHandle;
  reshape(x: TensorHandle, shape: Extents): TensorHandle;
  transpose(x: TensorHandle, order: Extents): TensorHandle;
  slice(x: TensorHandle, starts: Extents, extents: Extents): TensorHandle;
  pad(x: TensorHandle, paddings: readonly Extents[]): TensorHandle;
  concat(parts: readonly TensorHandle[], axis: number): TensorHandle;
  /** Along the first axis. */
  gather(table: TensorHandle, indices: TensorHandle): TensorHandle;
  /** Adds `updates` `[n, …]` up at `indices` `[n, 1]` of zeros of `shape`. */
  scatterND(indices: TensorHandle, updates: TensorHandle, shape: Extents): TensorHandle;
  /** `start`, `start + step`, … up to `stop`. */
  range(start: number, stop: number, step: number, type: ElementType): TensorHandle;
  scalar(value: number, type: ElementType): TensorHandle;
  tensor(data: Float32Array | Int32Array, shape: Extents, type: ElementType): TensorHandle;
  /** Runs `compute` and disposes of every tensor made in it but the result. */
  tidy(compute: () => TensorHandle): TensorHandle;
}
