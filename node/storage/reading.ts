/**
 * Reading open files by range, and hashing them piece by piece.
 */
import { createHash } from 'node:crypto';
import type { FileHandle } from 'node:fs/promises';
import { LIMITS } from '../../protocol/limits.ts';

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
