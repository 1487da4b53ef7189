/**
 * An audit folder: everything that anyone needs to check a federation, in files.
 *
 *   federation              the manifest as its owner signed it
 *   receipts/000001         the receipt of each round, as the aggregator signed it
 *   revocations/<hash>      the lists of revocations that the receipts name, as the owner signed them
 *   updates/<hash>          the update messages that the receipts list, as their senders signed them
 *   blobs/<hash>            the initial adapter, every accepted update, every candidate
 *   checkpoint              the newest checkpoint of the log, a signed note
 *
 * All of it may be copied, published or served from anywhere: nothing in it is believed but what it signs or hashes to.
 */
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { PrefmeshError } from '../../protocol/errors.ts';
import { isSha256, type Sha256 } from '../../protocol/names.ts';
import { makeFolder, naming, storageError, writeFileAtomic } from '../storage/atomicFile.ts';
import { readBounded } from '../storage/reading.ts';

export interface AuditPaths {
  readonly federation: string;
  readonly receipts: string;
  readonly revocations: string;
  readonly updates: string;
  readonly blobs: string;
  readonly checkpoint: string;
}

export function auditPaths(folder: string): AuditPaths {
  return {
    federation: join(folder, 'federation'),
    receipts: join(folder, 'receipts'),
    revocations: join(folder, 'revocations'),
    updates: join(folder, 'updates'),
    blobs: join(folder, 'blobs'),
    checkpoint: join(folder, 'checkpoint'),
  };
}

const ROUND_DIGITS = 6;

/** The file name of a round's receipt: sorted by name is sorted by round. */
export function receiptName(round: number): string {
  return String(round).padStart(ROUND_DIGITS, '0');
}

/** Makes the folders of an audit folder. Throws DISK_FULL, STORAGE_FAILED. */
export async function makeAuditFolder(folder: string): Promise<AuditPaths> {
  const paths = auditPaths(folder);
  for (const each of [paths.receipts, paths.revocations, paths.updates, paths.blobs]) {
    await naming(each, () => makeFolder(each));
  }
  return paths;
}

/** Writes one file of an audit folder for others to read. Throws DISK_FULL, STORAGE_FAILED. */
export async function writeAuditFile(file: string, content: Uint8Array | string): Promise<void> {
  await writeFileAtomic(file, content, { mode: 0o644 });
}

/** The rounds whose receipts are there, ascending. */
export async function auditedRounds({ receipts }: AuditPaths): Promise<number[]> {
  const names = await readdir(receipts).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return [];
    throw storageError(error, receipts);
  });
  return names
    .filter((name) => /^[0-9]+$/.test(name))
    .map(Number)
    .sort((a, b) => a - b);
}

/** The signed files with the given hashes that a folder has; one under another's name is the verifier's to find. */
export async function readNamed(folder: string, hashes: readonly Sha256[], limit: number): Promise<Uint8Array[]> {
  const found: Uint8Array[] = [];
  for (const hash of hashes) {
    if (!isSha256(hash)) continue;
    try {
      found.push(await readBounded(join(folder, hash), limit));
    } catch (error) {
      if (!(error instanceof PrefmeshError && error.code === 'FILE_MISSING')) throw error;
    }
  }
  return found;
}
