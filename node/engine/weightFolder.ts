/**
 * Lays weight files beside compiled graphs.
 *
 * ONNX Runtime reads a weight from a byte range of a file, but only from a file in the graph's own folder, and refuses
 * symbolic links that lead out of it. A hard link is free and keeps the file's pages shared between all processes;
 * where the file system cannot link, the file is copied once.
 */

import { createHash } from 'node:crypto';
import { copyFile, link, mkdir, rename, rm, stat } from 'node:fs/promises';
import path from 'node:path';

/** The folder, under `root`, that holds the files by the given names. */
export async function linkWeights(root: string, files: ReadonlyMap<string, string>): Promise<string> {
  if (files.size === 0) return root;
  const identity = createHash('sha256');
  for (const [name, file] of files) {
    const { dev, ino, size, mtimeMs } = await stat(file);
    identity.update(`${name} ${path.resolve(file)} ${dev} ${ino} ${size} ${mtimeMs}\n`);
  }
  const folder = path.join(root, `weights-${identity.digest('hex').slice(0, 16)}`);
  await mkdir(folder, { recursive: true, mode: 0o700 });
  for (const [name, file] of files) await place(file, path.join(folder, name));
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
