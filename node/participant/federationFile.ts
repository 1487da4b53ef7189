/**
 * A federation as a file: the manifest's signed envelope, byte for byte as its owner made it.
 */
import { readFile, stat } from 'node:fs/promises';
import { PrefmeshError, isPrefmeshError } from '../../protocol/errors.ts';
import { LIMITS } from '../../protocol/limits.ts';
import { openManifest } from '../../protocol/manifest.ts';
import type { OpenedManifest } from '../../protocol/manifest.ts';
import { openRevocations } from '../../protocol/revocations.ts';
import type { OpenedRevocations } from '../../protocol/revocations.ts';
import type { Sha256 } from '../../protocol/names.ts';
import { storageError, writeFileAtomic } from '../storage/atomicFile.ts';
import { readBounded } from '../storage/reading.ts';

/**
 * Reads a federation's manifest and checks its signature and, where `federation` is given, that it is that one's.
 * Throws FILE_MISSING, FEDERATION_FILE_INVALID, STORAGE_FAILED.
 */
export async function readFederationFile(file: string, federation?: Sha256): Promise<OpenedManifest> {
  try {
    const { size } = await stat(file);
    if (size > LIMITS.document.value) {
      throw new PrefmeshError('FEDERATION_FILE_INVALID', { file, problem: `it has ${size} bytes, far too many` });
    }
    return openManifest(new Uint8Array(await readFile(file)), federation);
  } catch (error) {
    if (isPrefmeshError(error, 'FEDERATION_FILE_INVALID')) throw error;
    if (isPrefmeshError(error)) {
      throw new PrefmeshError('FEDERATION_FILE_INVALID', { file, problem: error.message }, { cause: error });
    }
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') {
      throw new PrefmeshError('FILE_MISSING', { file }, { cause: error });
    }
    throw storageError(error, file);
  }
}

/**
 * Reads a file with a list of revocations and checks that the federation's owner signed it.
 * Throws FILE_MISSING, OVERSIZED, STORAGE_FAILED, and what `openRevocations` throws.
 */
export async function readRevocationsFile(file: string, federation: OpenedManifest): Promise<OpenedRevocations> {
  return openRevocations(await readBounded(file, LIMITS.document.value), federation);
}

/** Writes a manifest for others to read. Throws DISK_FULL, STORAGE_FAILED. */
export async function writeFederationFile(file: string, { bytes }: { readonly bytes: Uint8Array }): Promise<void> {
  await writeFileAtomic(file, bytes, { mode: 0o644 });
}
