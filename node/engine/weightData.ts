/**
 * A frozen weight's numbers, read from its range of the file.
 */

import { open } from 'node:fs/promises';
import type { WeightSource } from './graph.ts';
import { widen } from './halfPrecision.ts';

/** Float32 of a float weight; the bytes of a packed one. Throws a plain `Error` where the file ends before the range. */
export async function readWeight(source: WeightSource): Promise<Float32Array | Uint8Array> {
  const bytes = new Uint8Array(source.bytes);
  await using file = await open(source.file);
  const { bytesRead } = await file.read(bytes, 0, source.bytes, source.offset);
  if (bytesRead < source.bytes) throw new Error(`weight ${source.name} is out of bounds of ${source.file}`);
  switch (source.dtype) {
    case 'U8':
      return bytes;
    case 'F32':
      return new Float32Array(bytes.buffer);
    case 'F16':
    case 'BF16':
      return new Float32Array(widen(source.dtype, new Uint16Array(bytes.buffer)).buffer);
  }
}
