/**
 * Operators that read or write at integer indices. Each pair is the other's derivative.
 *
 * Writing uses ONNX ScatterElements, whose CPU kernel adds in order; ScatterND may add from several threads at once,
 * and a sum would then depend on timing.
 */

import { apply, sizeOf, type Primitive, type Value } from '../graph.ts';
import type { TensorApi, TensorHandle } from '../tensorflow/tensorApi.ts';

type Plain = Record<never, never>;

const GATHER_ROWS: Primitive<Plain> = {
  kind: 'primitive',
  name: 'gatherRows',
  precision: () => 'as given',
  infer: ([table, indices]) => ({ shape: [...indices!.shape, table!.shape[1]!], type: 'float32' }),
  derivative({ inputs }, gradient) {
    const [table, indices] = inputs as [Value, Value];
    return [scatterRows(gradient, indices, table.shape[0]!), null];
  },
  lower: (lowering, inputs) => lowering.emit('Gather', inputs, { axis: 0 }),
  interpret: (tensors, [table, indices]) => tensors.gather(table!, indices!),
  evaluate([table, indices], { shape }) {
    const width = shape.at(-1)!;
    const result = new Float64Array(sizeOf(shape));
    for (const [i, row] of indices!.data.entries()) {
      result.set(table!.data.subarray(row * width, (row + 1) * width), i * width);
    }
    return result;
  },
};

const SCATTER_ROWS: Primitive<{ readonly rows: number }> = {
  kind: 'primitive',
  name: 'scatterRows',
  infer: ([x], { rows }) => ({ shape: [rows, x!.shape.at(-1)!], type: 'float32' }),
  derivative: ({ inputs }, gradient) => [gatherRows(gradient, inputs[1]!), null],
  lower(lowering, [x, indices], node) {
    const [rows, width] = node.shape as [number, number];
    const count = sizeOf(node.inputs[1]!.shape);
    const target = lowering.emit('Expand', [lowering.float(0), lowering.int64([rows, width])]);
    const column = lowering.emit('Reshape', [indices!, lowering.int64([count, 1])]);
    const everywhere = lowering.emit('Expand', [column, lowering.int64([count, width])]);
    const updates = lowering.emit('Reshape', [x!, lowering.int64([count, width])]);
    return lowering.emit('ScatterElements', [target, everywhere, updates], { axis: 0, reduction: 'add' });
  },
  interpret(tensors, [x, indices], { shape, inputs }) {
    const count = sizeOf(inputs[1]!.shape);
    const updates = tensors.reshape(x!, [count, shape[1]!]);
    return tensors.scatterND(tensors.reshape(indices!, [count, 1]), updates, shape);
  },
  evaluate([x, indices], { shape }) {
    const width = shape[1]!;
    const result = new Float64Array(sizeOf(shape));
    for (const [i, row] of indices!.data.entries()) {
      for (let j = 0; j < width; j++) result[row * width + j]! += x!.data[i * width + j]!;
    }
    return result;
  },
};

const PICK: Primitive<Plain> = {
  kind: 'primitive',
  name: 'pick',
  infer: ([x]) => ({ shape: [x!.shape[0]!], type: 'float32' }),
  derivative({ inputs }, gradient) {
    const [x, indices] = inputs as [Value, Value];
    return [place(gradient, indices, x.shape[1]!), null];
  },
  lower(lowering, [x, indices], { shape }) {
    const [count] = shape as [number];
    const column = lowering.emit('Reshape', [indices!, lowering.int64([count, 1])]);
    const picked = lowering.emit('GatherElements', [x!, column], { axis: 1 });
    return lowering.emit('Reshape', [picked, lowering.int64([count])]);
  },
  interpret(tensors, [x, indices]) {
    const [count, columns] = x!.shape as [number, number];
    return tensors.gather(tensors.reshape(x!, [count * columns]), flatIndices(tensors, indices!, count, columns));
  },
  evaluate: ([x, indices]) => indices!.data.map((column, row) => x!.data[row * x!.shape[1]! + column]!),
};

const PLACE: Primitive<{ readonly columns: number }> = {
  kind: 'primitive',
  name: 'place',
  infer: ([x], { columns }) => ({ shape: [x!.shape[0]!, columns], type: 'float32' }),
  derivative: ({ inputs }, gradient) => [pick(gradient, inputs[1]!), null],
  lower(lowering, [x, indices], { shape }) {
    const one = lowering.int64([shape[0]!, 1]);
    const target = lowering.emit('Expand', [lowering.float(0), lowering.int64(shape)]);
    const updates = lowering.emit('Reshape', [x!, one]);
    const column = lowering.emit('Reshape', [indices!, one]);
    return lowering.emit('ScatterElements', [target, column, updates], { axis: 1 });
  },
  interpret(tensors, [x, indices], { shape }) {
    const [count, columns] = shape as [number, number];
    const at = tensors.reshape(flatIndices(tensors, indices!, count, columns), [count, 1]);
    return tensors.reshape(tensors.scatterND(at, x!, [count * columns]), shape);
  },
  evaluate([x, indices], { shape }) {
    const result = new Float64Array(sizeOf(shape));
    for (const [row, column] of indices!.data.entries()) result[row * shape[1]! + column] = x!.data[row]!;
    return result;
  },
};

/** `table` `[rows, width]` at integer `indices` `[…]`: `[…, width]`. */
export const gatherRows = (table: Value, indices: Value): Value => apply(GATHER_ROWS, [table, indices], {});

/** The rows of `x` `[…, width]` added up at `indices` `[…]` of a zero `[rows, width]`. */
export const scatterRows = (x: Value, indices: Value, rows: number): Value =>
  apply(SCATTER_ROWS, [x, indices], { rows });

/** One element of each row: `x` `[n, columns]` at `indices` `[n]`: `[n]`. */
export const pick = (x: Value, indices: Value): Value => apply(PICK, [x, indices], {});

/** `x` `[n]` put at column `indices` `[n]` of a zero `[n, columns]`. */
export const place = (x: Value, indices: Value, columns: number): Value => apply(PLACE, [x, indices], { columns });

/** Where column `indices[row]` of each row lies in a matrix read row by row. */
function flatIndices(tensors: TensorApi, indices: TensorHandle, count: number, columns: number): TensorHandle {
  if (count === 0) return indices;
  return tensors.add(tensors.range(0, count * columns, columns, 'int32'), indices);
}
