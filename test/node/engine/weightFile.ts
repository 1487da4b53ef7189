/** A weight in each storage type, at offsets as odd as safetensors has them. */
import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import type { WeightSource } from '../../../node/engine/graph.ts';

/** `[2, 3]`, exact in every storage type. */
export const STORED = [0.5, -2, 3.25, 0, 1024, -0.125];

export async function weightFile(folder: string): Promise<WeightSource[]> {
  const bytes = new DataView(new ArrayBuffer(10 + 24 + 12 + 12));
  for (const [i, value] of STORED.entries()) {
    bytes.setFloat32(10 + 4 * i, value, true);
    bytes.setFloat16(34 + 2 * i, value, true);
    const single = new DataView(new ArrayBuffer(4));
    single.setFloat32(0, value);
    bytes.setUint16(46 + 2 * i, single.getUint16(0), true);
  }
  const file = path.join(folder, 'weights.bin');
  await writeFile(file, new Uint8Array(bytes.buffer));
  const source = (dtype: WeightSource['dtype'], offset: number, length: number): WeightSource => {
    return { name: dtype, dtype, shape: [2, 3], file, offset, bytes: length };
  };
  return [source('F32', 10, 24), source('F16', 34, 12), source('BF16', 46, 12)];
}
