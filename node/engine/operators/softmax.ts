/**
 * Softmax and its logarithm over the last axis.
 */

import { apply, type Primitive, type Shape, type Value } from '../graph.ts';
import { sum } from './broadcasting.ts';
import { multiply, subtract } from './elementwise.ts';

const SOFTMAX: Primitive<Record<never, never>> = {
  kind: 'primitive',
  name: 'softmax',
  infer: ([x]) => ({ shape: x!.shape, type: 'float32' }),
  derivative(node, gradient) {
    const inner = sum(multiply(gradient, node), [-1], true);
    return [multiply(node, subtract(gradient, inner))];
  },
  lower: (lowering, inputs) => lowering.emit('Softmax', inputs, { axis: -1 }),
  interpret: (tensors, [x]) => tensors.softmax(x!),
  evaluate: ([x]) => overRows(x!.data, x!.shape, (element, logSum) => Math.exp(element - logSum)),
};

const LOG_SOFTMAX: Primitive<Record<never, never>> = {
  kind: 'primitive',
  name: 'logSoftmax',
  infer: ([x]) => ({ shape: x!.shape, type: 'float32' }),
  derivative(node, gradient) {
    return [subtract(gradient, multiply(softmax(node.inputs[0]!), sum(gradient, [-1], true)))];
  },
  lower(lowering, [x]) {
    if (lowering.device !== 'webgpu' && lowering.device !== 'coreml')
      return lowering.emit('LogSoftmax', [x!], { axis: -1 });
    // These have no kernel for it, and would send all logits to the processor and back.
    const overRow = (operator: string, value: string): string =>
      lowering.emit(operator, [value, lowering.int64([-1])], { keepdims: 1 });
    const shifted = lowering.emit('Sub', [x!, overRow('ReduceMax', x!)]);
    const total = overRow('ReduceSum', lowering.emit('Exp', [shifted]));
    return lowering.emit('Sub', [shifted, lowering.emit('Log', [total])]);
  },
  interpret: (tensors, [x]) => tensors.logSoftmax(x!),
  evaluate: ([x]) => overRows(x!.data, x!.shape, (element, logSum) => element - logSum),
};

export const softmax = (x: Value): Value => apply(SOFTMAX, [x], {});
export const logSoftmax = (x: Value): Value => apply(LOG_SOFTMAX, [x], {});

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
