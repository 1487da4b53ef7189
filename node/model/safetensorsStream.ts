/**
 * Writes a safetensors file whose tensors come one after the other, so that no more than one is ever in memory.
 */
import { createHash } from 'node:crypto';
import { basename, dirname } from 'node:path';
import { TemporaryFile } from '../storage/atomicFile.ts';
import { BYTES_PER_ELEMENT, type StoredDtype } from './safetensors.ts';

/** A tensor to come. Numbers should begin at a multiple of their size: give wide ones first, or pad. */
export interface PlannedTensor {
  readonly name: string;
  readonly dtype: StoredDtype;
  readonly shape: readonly number[];
}

export interface StreamOptions {
  readonly metadata?: Readonly<Record<string, string>>;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Writes the planned tensors, whose bytes `contents` gives in the same order, in pieces of any size. The file appears
 * whole or not at all. Gives back its SHA-256, lower-case hex.
 *
 * @throws DISK_FULL, STORAGE_FAILED, and what `contents` throws
 */
export async function streamSafetensors(
  file: string,
  plan: readonly PlannedTensor[],
  contents: Iterable<Uint8Array> | AsyncIterable<Uint8Array>,
  { metadata = { format: 'pt' }, signal }: StreamOptions = {},
): Promise<string> {
  const header: Record<string, unknown> = { __metadata__: metadata };
  let end = 0;
  for (const { name, dtype, shape } of plan) {
    const begin = end;
    end += tensorSize(dtype, shape);
    header[name] = { dtype, shape, data_offsets: [begin, end] };
  }
  const json = Buffer.from(JSON.stringify(header));
  const start = Buffer.alloc(8 + Math.ceil(json.length / 8) * 8, ' ');
  start.writeBigUInt64LE(BigInt(start.length - 8));
  json.copy(start, 8);

  const hash = createHash('sha256');
  const draft = await TemporaryFile.create(dirname(file), basename(file), 0o644);
  try {
    hash.update(start);
    await draft.write(start);
    let written = 0;
    for await (const piece of contents) {
      signal?.throwIfAborted();
      hash.update(piece);
      await draft.write(piece);
      written += piece.length;
    }
    if (written !== end) throw new Error(`${written} bytes came for tensors of ${end}`);
    await draft.publish(file);
  } catch (error) {
    await draft.discard();
    throw error;
  }
  return hash.digest('hex');
}

/** Bytes of a tensor. */
export function tensorSize(dtype: StoredDtype, shape: readonly number[]): number {
  return shape.reduce((product, side) => product * side, BYTES_PER_ELEMENT[dtype]);
}
