/**
 * float32 values as the bytes of a file: F32, F16 or BF16, little-endian.
 *
 * Narrowing rounds to nearest, ties to even. A finite value that the narrower type cannot hold is refused by name:
 * an infinity in a weight file is found by nobody until a model answers nonsense.
 */
import { PrefmeshError } from '../../protocol/errors.ts';
import type { TensorDtype } from './safetensors.ts';

/** The words of the command line for what a file may hold. */
export const DTYPE_NAMES = ['float32', 'float16', 'bfloat16'] as const;
export type DtypeName = (typeof DTYPE_NAMES)[number];

export function dtypeOf(name: DtypeName): TensorDtype {
  switch (name) {
    case 'float32':
      return 'F32';
    case 'float16':
      return 'F16';
    case 'bfloat16':
      return 'BF16';
  }
}

/**
 * @param name of the tensor, for the error
 * @throws EXPORT_RANGE
 */
export function tensorBytes(name: string, values: Float32Array, dtype: TensorDtype): Uint8Array {
  if (dtype === 'F32') return bytesOf(values);
  const narrow = dtype === 'F16' ? new Float16Array(values) : bfloat16(values);
  for (const [i, value] of values.entries()) {
    if (!Number.isFinite(value)) continue;
    const lost = dtype === 'F16' ? !Number.isFinite(narrow[i]!) : (narrow[i]! & 0x7f80) === 0x7f80;
    if (lost) throw new PrefmeshError('EXPORT_RANGE', { tensor: name, value: String(value), dtype });
  }
  return bytesOf(narrow);
}

/** The upper half of each float32, rounded to nearest with ties to even. */
function bfloat16(values: Float32Array): Uint16Array {
  const bits = new Uint32Array(values.buffer, values.byteOffset, values.length);
  const upper = new Uint16Array(values.length);
  for (const [i, whole] of bits.entries()) {
    const isNaN = (whole & 0x7fffffff) > 0x7f800000;
    // A NaN must not be rounded into an infinity.
    upper[i] = isNaN ? (whole >>> 16) | 0x40 : (whole + 0x7fff + ((whole >>> 16) & 1)) >>> 16;
  }
  return upper;
}

function bytesOf(view: ArrayBufferView): Uint8Array {
  return new Uint8Array(view.buffer, view.byteOffset, view.byteLength);
}
