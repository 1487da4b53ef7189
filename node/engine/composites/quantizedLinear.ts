/**
 * A linear map whose frozen weights stay packed, two 4-bit codes a byte, and are unpacked at each use.
 *
 * Forward, one kernel of the provider unpacks as it multiplies. Backward, `dx = dy W` needs the weights the other way
 * round, and the kernel's own transpose is silently wrong on two providers: there they are unpacked by a table of the
 * two weights that each byte stands for, one matrix at a time, and multiplied plainly. Both are exact. So is
 * MatMulNBits at accuracy level 0 alone: at level 4 it rounds activations to 8 bits.
 *
 * The unpacked weights never serve both directions: values that lived from one to the other would keep the whole model
 * in memory as float32.
 */

import { byteTable, type PackingScheme } from '../byteTable.ts';
import { apply, constant, sameShape, shapeText, sizeOf, type Composite, type Value } from '../graph.ts';
import { multiply } from '../operators/elementwise.ts';
import { gatherRows } from '../operators/indexing.ts';
import { reshape } from '../operators/layout.ts';
import { matmul } from '../operators/matmul.ts';
import { widen } from '../operators/widen.ts';

export interface Packing {
  /**
   * `nf4`: the earlier code in the high half, blocks running over the ends of rows. `int4`: the earlier code in the low
   * half, zero point 8, rows a whole number of blocks.
   */
  readonly scheme: PackingScheme;
  readonly out: number;
  readonly in: number;
  /** Weights that share a scale. */
  readonly block: number;
}

/** Packed weights as graph values, row by row. */
export interface PackedWeights {
  readonly packing: Packing;
  /** uint8, two codes a byte. */
  readonly codes: Value;
  /** float32, one a block. */
  readonly scales: Value;
}

const QUANTIZED_LINEAR: Composite<Packing> = {
  kind: 'composite',
  name: 'quantizedLinear',
  infer([x, codes, scales], { out, in: width, block }) {
    const count = out * width;
    if (x!.shape.length !== 2 || x!.shape[1] !== width)
      throw new Error(`quantizedLinear: ${shapeText(x!.shape)} is no [n, ${width}]`);
    if (count % block !== 0 || sizeOf(codes!.shape) * 2 !== count || sizeOf(scales!.shape) * block !== count)
      throw new Error(`quantizedLinear: codes or scales do not fit [${out}, ${width}] in blocks of ${block}`);
    return { shape: [x!.shape[0]!, out], type: 'float32' };
  },
  expand: ([x, ...packed], packing) => matmul(x!, unpack(packed, packing), { transposeB: true }),
  derivative: ({ inputs: [, ...packed], attributes }, gradient) => {
    return [matmul(gradient, unpack(packed, attributes)), null, null];
  },
  lower(lowering, names, { inputs: values, attributes: { scheme, out, in: width, block } }) {
    if (lowering.device === 'coreml') return null;
    const shaped = (i: number, ...shape: number[]): string =>
      sameShape(values[i]!.shape, shape) ? names[i]! : lowering.emit('Reshape', [names[i]!, lowering.int64(shape)]);
    const blocks = (out * width) / block;
    const sizes = { K: width, N: out, block_size: block };
    switch (scheme) {
      case 'nf4': {
        const inputs = [names[0]!, shaped(1, (out * width) / 2), shaped(2, blocks)];
        return lowering.emit('MatMulBnb4', inputs, { ...sizes, quant_type: 1 }, 'com.microsoft');
      }
      case 'int4': {
        const inputs = [names[0]!, shaped(1, out, width / block, block / 2), shaped(2, out, width / block)];
        return lowering.emit('MatMulNBits', inputs, { ...sizes, bits: 4, accuracy_level: 0 }, 'com.microsoft');
      }
    }
  },
};

/** `x` `[n, in]` through the packed `[out, in]`: `[n, out]`. */
export function quantizedLinear(x: Value, { packing, codes, scales }: PackedWeights): Value {
  return apply(QUANTIZED_LINEAR, [x, codes, scales], packing);
}

/** The packed weights as float32 `[out, in]`. */
function unpack([codes, scales]: readonly Value[], { scheme, out, in: width, block }: Packing): Value {
  const count = out * width;
  const unscaled = gatherRows(constant(byteTable(scheme), [256, 2]), widen(reshape(codes!, [count / 2])));
  const scaled = multiply(reshape(unscaled, [count / block, block]), reshape(scales!, [count / block, 1]));
  return reshape(scaled, [out, width]);
}
