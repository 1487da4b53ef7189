/** The newest list of revocations that an owner's data folder has signed or taken over: the next goes on from it. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { readRevocationsFile } from '../node/participant/federationFile.ts';
import { makeFolder, naming, writeFileAtomic } from '../node/storage/atomicFile.ts';
import type { OpenedManifest } from '../protocol/manifest.ts';
import type { OpenedRevocations } from '../protocol/revocations.ts';

export function revocationsFile(home: string, { hash }: OpenedManifest): string {
  return join(home, 'revocations', hash);
}

/** Null where there is none. Throws MALFORMED, BAD_SIGNATURE, STORAGE_FAILED. */
export async function keptRevocations(home: string, federation: OpenedManifest): Promise<OpenedRevocations | null> {
  const file = revocationsFile(home, federation);
  if (!existsSync(file)) return null;
  return readRevocationsFile(file, federation);
}

/** Keeps a list for the next one to go on from. Throws DISK_FULL, STORAGE_FAILED. */
export async function keepRevocations(home: string, federation: OpenedManifest, bytes: Uint8Array): Promise<void> {
  const file = revocationsFile(home, federation);
  await naming(file, () => makeFolder(join(home, 'revocations'), 0o700));
  await writeFileAtomic(file, bytes, { mode: 0o644 });
}
