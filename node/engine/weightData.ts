/**
 * A frozen weight's numbers, read from its range of the file.
 */

import { open } from 'node:fs/promises';
import type { WeightSource } from './graph.ts';

/** Float32 of a float weight; the bytes of a packed one. Throws a plain `Error` where the file ends before the range. */
export async function readWeight(source: WeightSource): Promise<Float32Array | Uint8Array> {
  const bytes = new Uint8Array(source.bytes);
  await using file = await open(source.file);
  const { bytesRead } = await file.read(bytes, 0, source.bytes, source.offset);
  if (bytesRead < source.bytes) throw new Error(`weight ${source.name} is out of bounds of ${source.file}`);
  const view = new DataView(bytes.buffer);
  const width = source.dtype === 'F32' ? 4 : 2;
  const numbers = (at: (offset: number) => number): Float32Array =>
    Float32Array.from({ length: source.bytes / width }, (_, i) => at(i * width));
  switch (source.dtype) {
    case 'U8':
      return bytes;
    case 'F32':
      return numbers((offset) => view.getFloat32(offset, true));
    case 'F16':
      return numbers((offset) => view.getFloat16(offset, true));
    case 'BF16':
      return bfloat16(view, source.bytes / 2);
  }
}

/** bfloat16 is the upper half of a float32. */
function bfloat16(view: DataView, count: number): Float32Array {
  const bits = Uint32Array.from({ length: count }, (_, i) => view.getUint16(2 * i, true) << 16);
  return new Float32Array(bits.buffer);
}
