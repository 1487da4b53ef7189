/**
 * How a quantised weight lies in a safetensors file, in both directions.
 *
 * NF4 has the keys of bitsandbytes, so that its users can load the file: beside `weight` (uint8 `[n / 2, 1]`) stand
 * `weight.absmax`, `weight.quant_map`, `weight.nested_absmax`, `weight.nested_quant_map`, and
 * `weight.quant_state.bitsandbytes__nf4`, which is JSON as bytes. int4 has `weight` (uint8 `[out, in / 32, 16]`) and
 * `weight.scales` (float32 `[out, in / 32]`), as ONNX Runtime's MatMulNBits takes them.
 */
import { z } from 'zod';
import { NF4_LEVELS } from '../../engine/byteTable.ts';
import { PrefmeshError } from '../../../protocol/errors.ts';
import { readTensorBytes, type StoredDtype, type TensorLocation } from '../safetensors.ts';
import type { PlannedTensor } from '../safetensorsStream.ts';
import { DYNAMIC_BLOCK, DYNAMIC_MAP } from './dynamicMap.ts';
import { INT4_BLOCK, quantizeInt4 } from './int4.ts';
import { NF4_BLOCK, quantizeNf4 } from './nf4.ts';
import type { QuantizationScheme } from './scheme.ts';

/** `[out, in]` */
export type MatrixShape = readonly [rows: number, columns: number];

type Numbers = TensorLocation;
type Bytes = TensorLocation<StoredDtype>;

/** Where the parts of a quantised weight lie. */
export type QuantizedTensor =
  | {
      readonly scheme: 'nf4';
      readonly shape: MatrixShape;
      readonly codes: Bytes;
      readonly absmax: Bytes;
      readonly nestedAbsmax: Numbers;
      readonly nestedMap: Numbers;
      readonly offset: number;
    }
  | { readonly scheme: 'int4'; readonly shape: MatrixShape; readonly codes: Bytes; readonly scales: Numbers };

const STATE = 'quant_state.bitsandbytes__nf4';

/** Tensors are written in groups of a multiple of this many bytes, so that every group's numbers are aligned. */
const ALIGNMENT = 8;

/** The longest that a float32 is as decimal digits. */
const LONGEST_NUMBER = 24;

const stateSchema = z.looseObject({
  quant_type: z.literal('nf4'),
  blocksize: z.literal(NF4_BLOCK),
  shape: z.tuple([z.int().positive(), z.int().positive()]),
  nested_blocksize: z.literal(DYNAMIC_BLOCK),
  nested_offset: z.number(),
});

/** Weights of one scale must fill rows, or at least the matrix. */
export function fitsScheme(scheme: QuantizationScheme, [out, width]: MatrixShape): boolean {
  return scheme === 'nf4' ? (out * width) % NF4_BLOCK === 0 : width % INT4_BLOCK === 0;
}

/** The tensors that a weight becomes, in the order of `quantizedParts`. */
export function planQuantized(scheme: QuantizationScheme, name: string, shape: MatrixShape): PlannedTensor[] {
  const [out, width] = shape;
  const count = out * width;
  if (scheme === 'int4') {
    const blocks = width / INT4_BLOCK;
    return [
      { name: `${name}.scales`, dtype: 'F32', shape: [out, blocks] },
      { name, dtype: 'U8', shape: [out, blocks, INT4_BLOCK / 2] },
    ];
  }
  const blocks = count / NF4_BLOCK;
  return [
    { name: `${name}.nested_absmax`, dtype: 'F32', shape: [Math.ceil(blocks / DYNAMIC_BLOCK)] },
    { name: `${name}.nested_quant_map`, dtype: 'F32', shape: [DYNAMIC_MAP.length] },
    { name: `${name}.quant_map`, dtype: 'F32', shape: [NF4_LEVELS.length] },
    { name, dtype: 'U8', shape: [count / 2, 1] },
    { name: `${name}.absmax`, dtype: 'U8', shape: [blocks] },
    { name: `${name}.${STATE}`, dtype: 'U8', shape: [stateLength(shape)] },
  ];
}

/** The bytes of the planned tensors. */
export function quantizedParts(scheme: QuantizationScheme, weights: Float32Array, shape: MatrixShape): Uint8Array[] {
  if (scheme === 'int4') {
    const { codes, scales } = quantizeInt4(weights);
    return [bytesOf(scales), codes];
  }
  const { codes, absmax, nestedAbsmax, offset } = quantizeNf4(weights);
  const state = Buffer.alloc(stateLength(shape), ' ');
  state.write(stateText(shape, String(offset)));
  return [bytesOf(nestedAbsmax), bytesOf(DYNAMIC_MAP), bytesOf(NF4_LEVELS), codes, absmax, state];
}

/**
 * Finds the parts of a quantised weight among the tensors of a file; undefined where `name` is no packed tensor.
 *
 * @throws WEIGHTS_INVALID, TENSOR_MISSING, TENSOR_SHAPE
 */
export function locateQuantized(
  tensors: ReadonlyMap<string, TensorLocation<StoredDtype>>,
  name: string,
  shape: MatrixShape,
): QuantizedTensor | undefined {
  const codes = tensors.get(name);
  if (codes?.dtype !== 'U8') return undefined;
  const part = (suffix: string): TensorLocation<StoredDtype> => {
    const found = tensors.get(`${name}.${suffix}`);
    if (found === undefined)
      throw new PrefmeshError('TENSOR_MISSING', { file: codes.file, tensor: `${name}.${suffix}` });
    return found;
  };
  const scheme = tensors.has(`${name}.scales`) ? 'int4' : 'nf4';
  if (!fitsScheme(scheme, shape)) throw broken(codes, `cannot be ${scheme} of shape [${shape.join(', ')}]`);
  for (const planned of planQuantized(scheme, name, shape)) {
    const { dtype, shape: extents } = tensors.get(planned.name) ?? part(planned.name.slice(name.length + 1));
    const same = extents.length === planned.shape.length && extents.every((side, i) => side === planned.shape[i]);
    if (dtype === planned.dtype && (same || planned.name.endsWith(STATE))) continue;
    const [found, wanted] = [`${dtype} [${extents.join(', ')}]`, `${planned.dtype} [${planned.shape.join(', ')}]`];
    throw new PrefmeshError('TENSOR_SHAPE', { file: codes.file, tensor: planned.name, shape: found, expected: wanted });
  }
  if (scheme === 'int4') return { scheme, shape, codes, scales: part('scales') as Numbers };
  const { offset } = readState(part(STATE), shape);
  return {
    scheme,
    shape,
    codes,
    absmax: part('absmax'),
    nestedAbsmax: part('nested_absmax') as Numbers,
    nestedMap: part('nested_quant_map') as Numbers,
    offset,
  };
}

function readState(location: TensorLocation<StoredDtype>, [out, width]: MatrixShape): { offset: number } {
  let json: unknown;
  try {
    json = JSON.parse(Buffer.from(readTensorBytes(location)).toString('utf8'));
  } catch (cause) {
    throw broken(location, 'is not JSON', cause);
  }
  const parsed = stateSchema.safeParse(json);
  if (!parsed.success) {
    const [issue] = parsed.error.issues;
    throw broken(location, `${issue?.path.join('.') || '(root)'}: ${issue?.message ?? 'is invalid'}`);
  }
  const { shape, nested_offset: offset } = parsed.data;
  if (shape[0] !== out || shape[1] !== width) throw broken(location, `is of shape [${shape.join(', ')}]`);
  return { offset };
}

/** As bitsandbytes writes it. The weights unpack to float32, whatever they were made from. */
function stateText([out, width]: MatrixShape, offset: string): string {
  return (
    `{"quant_type": "nf4", "blocksize": ${NF4_BLOCK}, "dtype": "float32", "shape": [${out}, ${width}], ` +
    `"nested_blocksize": ${DYNAMIC_BLOCK}, "nested_dtype": "float32", "nested_offset": ${offset}}`
  );
}

/** Spaces follow the JSON: its length must be known before the offset is, and must end the group on its alignment. */
function stateLength(shape: MatrixShape): number {
  const longest = stateText(shape, '').length + LONGEST_NUMBER;
  const before = (shape[0] * shape[1]) / NF4_BLOCK;
  return Math.ceil((before + longest) / ALIGNMENT) * ALIGNMENT - before;
}

function bytesOf({ buffer, byteOffset, byteLength }: Float32Array): Uint8Array {
  return new Uint8Array(buffer, byteOffset, byteLength);
}

function broken({ file, name }: TensorLocation<StoredDtype>, problem: string, cause?: unknown): PrefmeshError {
  return new PrefmeshError('WEIGHTS_INVALID', { file, tensor: name, problem }, cause === undefined ? {} : { cause });
}
