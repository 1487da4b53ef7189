/**
 * What an operator writes to when it lowers itself: ONNX nodes and small constants.
 */

import type { Device } from '../device.ts';

/** An ONNX attribute: whole numbers are ints, text is a string, and a float says so. */
export type OnnxAttribute = number | readonly number[] | string | { readonly float: number };

export interface Lowering {
  /** Kernels differ by device: some exist on one alone, some are wrong on one. */
  readonly device: Device;
  /** Adds a node with one output; gives back the output's name. */
  emit(
    operator: string,
    inputs: readonly string[],
    attributes?: Readonly<Record<string, OnnxAttribute>>,
    domain?: '' | 'com.microsoft',
  ): string;
  /** A constant list of integers, as ONNX wants shapes and axes. */
  int64(values: readonly number[]): string;
  /** A constant float, of the precision that the node computes in. */
  float(value: number): string;
  /** `name` as int64. */
  asInt64(name: string): string;
}
