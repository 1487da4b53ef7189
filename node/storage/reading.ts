/**
 * Reading files: whole within a bound, by range, and hashed piece by piece.
 */
import { createHash } from 'node:crypto';
import { readFile, stat, type FileHandle } from 'node:fs/promises';
import { isPrefmeshError, PrefmeshError } from '../../protocol/errors.ts';
import { LIMITS } from '../../protocol/limits.ts';
import { storageError } from './atomicFile.ts';

/** A whole file of at most `limit` bytes. Throws FILE_MISSING, OVERSIZED, STORAGE_FAILED. */
export async function readBounded(file: string, limit: number): Promise<Uint8Array> {
  try {
    const { size } = await stat(file);
    if (size > limit) throw new PrefmeshError('OVERSIZED', { what: file, bytes: size, limit });
    return new Uint8Array(await readFile(file));
  } catch (error) {
    if (isPrefmeshError(error)) throw error;
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') {
      throw new PrefmeshError('FILE_MISSING', { file }, { cause: error });
    }
    throw storageError(error, file);
  }
}

/** `length` bytes from `offset`; fewer only at the end of the file. */
export async function readRange(handle: FileHandle, offset: number, length: number): Promise<Uint8Array> {
  const bytes = Buffer.allocUnsafeSlow(Math.max(0, length)); // what is not filled is not returned
  let filled = 0;
  while (filled < bytes.length) {
    const { bytesRead } = await handle.read(bytes, filled, bytes.length - filled, offset + filled);
    if (bytesRead === 0) return bytes.subarray(0, filled);
    filled += bytesRead;
  }
  return bytes;
}

/** SHA-256 of an open file in hex, read in pieces; `onBytes` sees each piece. */
export async function hashFile(handle: FileHandle, onBytes: (bytes: Uint8Array) => void): Promise<string> {
  const digest = createHash('sha256');
  for (let offset = 0; ;) {
    const bytes = await readRange(handle, offset, LIMITS.filePiece.value);
    if (bytes.length === 0) return digest.digest('hex');
    onBytes(bytes);
    digest.update(bytes);
    offset += bytes.length;
  }
}
