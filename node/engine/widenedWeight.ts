/**
 * A float32 copy on disk of a half-precision weight.
 *
 * The processor's kernels want float32. Converting inside the graph costs a pass over all weights at every run, a second
 * copy in memory that is never shared, and at every generated token; a file is converted once, mapped, and its pages are
 * shared by all graphs and processes and given back when memory is short. Streamed: neither side is ever held whole.
 */

import { open, stat } from 'node:fs/promises';
import path from 'node:path';
import { naming, TemporaryFile } from '../storage/atomicFile.ts';
import type { WeightSource } from './graph.ts';
import { widen } from './halfPrecision.ts';

/** Of the half-precision side. */
const CHUNK_BYTES = 4 * 1024 * 1024;

/**
 * Writes the float32 copy of `source` to `target` unless it is there. It appears whole or not at all.
 *
 * @throws DISK_FULL, STORAGE_FAILED
 */
export async function placeWidened(source: WeightSource, target: string): Promise<void> {
  if (source.dtype !== 'F16' && source.dtype !== 'BF16') throw new Error(`${source.dtype} is not half precision`);
  const there = await stat(target).catch(() => undefined);
  if (there?.size === 2 * source.bytes) return;
  await using file = await naming(source.file, () => open(source.file));
  const draft = await TemporaryFile.create(path.dirname(target), path.basename(target));
  try {
    const halves = new Uint16Array(Math.min(CHUNK_BYTES, source.bytes) / 2);
    for (let done = 0; done < source.bytes;) {
      const wanted = Math.min(halves.byteLength, source.bytes - done);
      await readFully(file, new Uint8Array(halves.buffer, 0, wanted), source, source.offset + done);
      const wide = widen(source.dtype, halves.subarray(0, wanted / 2));
      await draft.write(new Uint8Array(wide.buffer));
      done += wanted;
    }
    await draft.publish(target);
  } catch (error) {
    await draft.discard();
    throw error;
  }
}

async function readFully(
  file: Awaited<ReturnType<typeof open>>,
  into: Uint8Array,
  source: WeightSource,
  position: number,
): Promise<void> {
  for (let done = 0; done < into.length;) {
    const { bytesRead } = await file.read(into, done, into.length - done, position + done);
    if (bytesRead === 0) throw new Error(`weight ${source.name} is out of bounds of ${source.file}`);
    done += bytesRead;
  }
}
