/**
 * What a pulled model remembers of where it came from: `.prefmesh-hub.json` in its folder.
 *
 * The sizes and modification times in it tell a later pull that nothing was touched since, without reading gigabytes.
 */
import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { writeFileAtomic } from '../../storage/atomicFile.ts';

const RECORD_FILE = '.prefmesh-hub.json';

const recordSchema = z.object({
  format: z.literal(1),
  model: z.string(),
  endpoint: z.string(),
  /** Branch, tag or commit that was asked for. */
  revision: z.string(),
  commit: z.string().regex(/^[0-9a-f]{40}$/),
  licence: z.object({ id: z.string().nullable(), link: z.string().nullable() }),
  gated: z.boolean(),
  files: z.array(
    z.object({
      name: z.string().regex(/^[A-Za-z0-9_][\w.-]*$/),
      size: z.int().nonnegative(),
      hash: z.object({ algorithm: z.enum(['sha256', 'git-sha1']), hex: z.string() }),
      /** Modification time in ns since 1970, when it was verified. */
      modified: z.string(),
    }),
  ),
});

export type PullRecord = z.infer<typeof recordSchema>;

/** The record of a model folder; null for a folder that was not pulled, or whose record is damaged. */
export async function readPullRecord(folder: string): Promise<PullRecord | null> {
  const text = await readFile(join(folder, RECORD_FILE), 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT' || error.code === 'ENOTDIR') return null;
    throw error;
  });
  if (text === null) return null;
  try {
    return recordSchema.parse(JSON.parse(text));
  } catch {
    return null; // Then the folder counts as not pulled, and a pull verifies every file of it anew.
  }
}

export async function writePullRecord(folder: string, record: PullRecord): Promise<void> {
  await writeFileAtomic(join(folder, RECORD_FILE), `${JSON.stringify(record, null, 2)}\n`);
}

/** Whether a recorded file still has the size and time it was verified with. */
export async function isUntouched(folder: string, file: PullRecord['files'][number]): Promise<boolean> {
  const status = await stat(join(folder, file.name), { bigint: true }).catch(() => undefined);
  return status?.isFile() === true && Number(status.size) === file.size && String(status.mtimeNs) === file.modified;
}
