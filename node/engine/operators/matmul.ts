/**
 * The matrix product, with the transposes and the factor that kernels offer for free.
 */

import {
  apply,
  broadcastShape,
  sameShape,
  sizeOf,
  type Primitive,
  type Shape,
  type Value,
  shapeText,
} from '../graph.ts';
import { sumTo } from './broadcasting.ts';

export interface MatmulAttributes {
  /** Whether the last two axes of the operand are swapped first. */
  readonly transposeA: boolean;
  readonly transposeB: boolean;
  /** Factor on the product. */
  readonly alpha: number;
  /** Whether it is computed in float32 even where activations are held in half precision. */
  readonly exact: boolean;
}

const MATMUL: Primitive<MatmulAttributes> = {
  kind: 'primitive',
  name: 'matmul',
  precision: ({ exact }) => (exact ? 'float32' : 'half'),
  infer([a, b], { transposeA, transposeB }) {
    const [rows, inner] = matrixExtents(a!.shape, transposeA);
    const [innerB, columns] = matrixExtents(b!.shape, transposeB);
    if (inner !== innerB) throw new Error(`matmul: ${shapeText(a!.shape)} and ${shapeText(b!.shape)} do not multiply`);
    return { shape: [...broadcastShape(a!.shape.slice(0, -2), b!.shape.slice(0, -2)), rows, columns], type: 'float32' };
  },
  derivative({ inputs, attributes: { transposeA, transposeB, alpha, exact } }, gradient) {
    const [a, b] = inputs as [Value, Value];
    const forA = transposeA
      ? matmul(b, gradient, { transposeA: transposeB, transposeB: true, alpha, exact })
      : matmul(gradient, b, { transposeB: !transposeB, alpha, exact });
    const forB = transposeB
      ? matmul(gradient, a, { transposeA: true, transposeB: transposeA, alpha, exact })
      : matmul(a, gradient, { transposeA: !transposeA, alpha, exact });
    return [sumTo(forA, a.shape), sumTo(forB, b.shape)];
  },
  lower(lowering, inputs, node) {
    const { transposeA, transposeB, alpha } = node.attributes;
    if (!transposeA && !transposeB && alpha === 1) return lowering.emit('MatMul', inputs);
    if (lowering.device === 'cpu') {
      const attributes = { transA: transposeA ? 1 : 0, transB: transposeB ? 1 : 0, alpha: { float: alpha } };
      return lowering.emit('FusedMatMul', inputs, attributes, 'com.microsoft');
    }
    if (node.inputs.every(({ shape }) => shape.length === 2)) {
      const attributes = { transA: transposeA ? 1 : 0, transB: transposeB ? 1 : 0, alpha: { float: alpha } };
      return lowering.emit('Gemm', inputs, attributes);
    }
    const [a, b] = inputs.map((name, i) => {
      const rank = node.inputs[i]!.shape.length;
      const perm = Array.from({ length: rank }, (_, axis) => (axis < rank - 2 ? axis : 2 * rank - 3 - axis));
      return (i === 0 ? transposeA : transposeB) ? lowering.emit('Transpose', [name], { perm }) : name;
    });
    const product = lowering.emit('MatMul', [a!, b!]);
    return alpha === 1 ? product : lowering.emit('Mul', [product, lowering.float(alpha)]);
  },
  interpret(tensors, inputs, { shape, attributes: { transposeA, transposeB, alpha } }) {
    // Its own broadcasting is silently wrong where only some of several leading axes are stretched.
    const [a, b] = inputs.map((x) => {
      const whole = [...shape.slice(0, -2), ...x.shape.slice(-2)];
      return sameShape(x.shape, whole) ? x : tensors.broadcastTo(x, whole);
    });
    const product = tensors.matMul(a!, b!, transposeA, transposeB);
    return alpha === 1 ? product : tensors.mul(product, tensors.scalar(alpha, 'float32'));
  },
  evaluate([a, b], { shape, attributes: { transposeA, transposeB, alpha } }) {
    const [rows, inner] = matrixExtents(a!.shape, transposeA);
    const columns = shape.at(-1)!;
    const result = new Float64Array(sizeOf(shape));
    const batches = sizeOf(shape.slice(0, -2));
    for (let batch = 0; batch < batches; batch++) {
      const startA = batchIndex(batch, shape, a!.shape) * rows * inner;
      const startB = batchIndex(batch, shape, b!.shape) * inner * columns;
      for (let row = 0; row < rows; row++) {
        for (let column = 0; column < columns; column++) {
          let total = 0;
          for (let k = 0; k < inner; k++) {
            const x = a!.data[startA + (transposeA ? k * rows + row : row * inner + k)]!;
            total += x * b!.data[startB + (transposeB ? column * inner + k : k * columns + column)]!;
          }
          result[(batch * rows + row) * columns + column] = alpha * total;
        }
      }
    }
    return result;
  },
};

/** `alpha · a b` over the last two axes; leading axes broadcast. */
export function matmul(a: Value, b: Value, options: Partial<MatmulAttributes> = {}): Value {
  return apply(MATMUL, [a, b], { transposeA: false, transposeB: false, alpha: 1, exact: false, ...options });
}

function matrixExtents(shape: Shape, transposed: boolean): [rows: number, columns: number] {
  if (shape.length < 2) throw new Error(`matmul: ${shapeText(shape)} is no matrix`);
  const [rows, columns] = shape.slice(-2) as [number, number];
  return transposed ? [columns, rows] : [rows, columns];
}

/** Which matrix of an operand of shape `own` takes part in the given matrix of the result. */
function batchIndex(batch: number, shape: Shape, own: Shape): number {
  let index = 0;
  let stride = 1;
  let rest = batch;
  for (let axis = shape.length - 3; axis >= 0; axis--) {
    const position = rest % shape[axis]!;
    rest = Math.floor(rest / shape[axis]!);
    const extent = own[axis - shape.length + own.length] ?? 1;
    if (extent !== 1) index += position * stride;
    stride *= extent;
  }
  return index;
}
