/**
 * Lays weight files beside compiled graphs.
 *
 * ONNX Runtime reads a weight from a byte range of a file, but only from a file in the graph's own folder, and refuses
 * symbolic links that lead out of it. A hard link is free and keeps the file's pages shared between all processes;
 * where the file system cannot link, the file is copied once. Half-precision weights are laid there widened.
 *
 * A folder belongs to the files it was made from, by path, size and time. Once one of those is gone or another, the
 * folder serves nobody and is removed: a link would otherwise keep a deleted model's bytes on the disk.
 */

import { createHash } from 'node:crypto';
import { copyFile, link, mkdir, readdir, readFile, realpath, rename, rm, stat } from 'node:fs/promises';
import path from 'node:path';
import { writeFileAtomic } from '../storage/atomicFile.ts';
import type { WeightSource } from './graph.ts';
import { placeWidened } from './widenedWeight.ts';

/** What lies beside a graph: a file as it is, or the float32 copy of a half-precision weight of it. */
export interface WeightFile {
  readonly file: string;
  readonly widened?: WeightSource;
}

/** Names the files that a folder was made from: path → identity. */
const SOURCES = 'sources.json';
const FOLDER = /^weights-[0-9a-f]{16}$/;

/**
 * The folder, under `root`, that holds the files by the given names.
 *
 * @throws DISK_FULL, STORAGE_FAILED
 */
export async function linkWeights(root: string, files: ReadonlyMap<string, WeightFile>): Promise<string> {
  if (files.size === 0) return root;
  const sources: Record<string, string> = {};
  for (const file of new Set([...files.values()].map((each) => path.resolve(each.file)))) {
    sources[file] = (await identityOf(file)) ?? 'absent';
  }
  const text = JSON.stringify(sources, Object.keys(sources).sort());
  const folder = path.join(root, `weights-${createHash('sha256').update(text).digest('hex').slice(0, 16)}`);
  await mkdir(folder, { recursive: true, mode: 0o700 });
  if ((await identityOf(path.join(folder, SOURCES))) === undefined) {
    await writeFileAtomic(path.join(folder, SOURCES), text);
    await removeStale(root);
  }
  for (const [name, { file, widened }] of files) {
    const target = path.join(folder, name);
    // A folder of the Hub's own cache holds symbolic links; the link must be of the file.
    await (widened === undefined ? place(await realpath(file), target) : placeWidened(widened, target));
  }
  return folder;
}

async function place(file: string, target: string): Promise<void> {
  try {
    await link(file, target);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return;
    // Another file system, or one without links. Written aside first, so that no other process maps half a file.
    const unfinished = `${target}.${process.pid}`;
    try {
      await copyFile(file, unfinished);
      await rename(unfinished, target);
    } finally {
      await rm(unfinished, { force: true });
    }
  }
}

/** What a file is as long as nobody writes to it; undefined where there is none. */
async function identityOf(file: string): Promise<string | undefined> {
  const status = await stat(file, { bigint: true }).catch(() => undefined);
  return status && `${status.dev}:${status.ino}:${status.size}:${status.mtimeNs}`;
}

/** Removes the folders whose files are gone or changed. What another process has mapped stays mapped. */
async function removeStale(root: string): Promise<void> {
  for (const name of await readdir(root)) {
    if (!FOLDER.test(name)) continue;
    const folder = path.join(root, name);
    // A folder that does not say what it was made from is being made this moment.
    const text = await readFile(path.join(folder, SOURCES), 'utf8').catch(() => undefined);
    if (text === undefined) continue;
    for (const [file, identity] of Object.entries(JSON.parse(text) as Record<string, string>)) {
      if ((await identityOf(file)) === identity) continue;
      // Where an open file cannot be removed, the next folder's making tries again.
      await rm(folder, { recursive: true, force: true }).catch(() => undefined);
      break;
    }
  }
}
