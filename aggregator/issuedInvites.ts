/**
 * The invites that a data folder's key has signed and that have not expired: what bounds how many more it may sign.
 * Which of them were used, only an aggregator knows.
 */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { makeFolder, naming, storageError, writeFileAtomic } from '../node/storage/atomicFile.ts';
import { PrefmeshError } from '../protocol/errors.ts';
import { nonceSchema, timestampSchema } from '../protocol/messages.ts';
import type { Sha256 } from '../protocol/names.ts';

const issuedSchema = z.array(z.strictObject({ serial: nonceSchema, expiresAt: timestampSchema }));
export type IssuedInvite = z.infer<typeof issuedSchema>[number];

/** Those that are good at `now` (ms since 1970), oldest first. Throws INVITES_FILE_INVALID, STORAGE_FAILED. */
export async function pendingInvites(home: string, federation: Sha256, now: number): Promise<IssuedInvite[]> {
  return (await readIssued(fileOf(home, federation))).filter(({ expiresAt }) => expiresAt >= now);
}

/** Remembers an invite, before anybody is given it. Throws INVITES_FILE_INVALID, DISK_FULL, STORAGE_FAILED. */
export async function recordInvite(home: string, federation: Sha256, invite: IssuedInvite): Promise<void> {
  const file = fileOf(home, federation);
  const pending = await pendingInvites(home, federation, Date.now());
  await naming(file, () => makeFolder(join(home, 'invites'), 0o700));
  await writeFileAtomic(file, JSON.stringify([...pending, invite]));
}

function fileOf(home: string, federation: Sha256): string {
  return join(home, 'invites', `${federation}.json`);
}

async function readIssued(file: string): Promise<IssuedInvite[]> {
  let text: string;
  try {
    text = await readFile(file, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw storageError(error, file);
  }
  try {
    return issuedSchema.parse(JSON.parse(text));
  } catch (cause) {
    throw new PrefmeshError('INVITES_FILE_INVALID', { file }, { cause });
  }
}
