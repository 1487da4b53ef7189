/**
 * Files that are either wholly there or not there at all, also after a crash or a power cut.
 *
 * A write goes to a temporary file in the same folder, is synced, renamed over the final name, and then the folder
 * is synced too: without the last step the rename itself may be lost. Whatever stood under the name before stays
 * readable until the rename.
 */
import { randomBytes } from 'node:crypto';
import { type FileHandle, mkdir, open, readdir, rename, rm, stat } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import { PrefmeshError } from '../../protocol/errors.ts';

const TEMPORARY = /^\..+\.[0-9a-f]{16}\.tmp$/;

/** Codes by which operating systems say that there is no room: disk, quota, size limit of a process. */
const NO_SPACE = new Set(['ENOSPC', 'EDQUOT', 'EFBIG']);

export interface AtomicWriteOptions {
  /** Permission bits of the file; default 0600. */
  readonly mode?: number;
  readonly signal?: AbortSignal;
}

/**
 * Writes a file durably and in one step: when the promise resolves, the bytes survive a power cut.
 * @throws DISK_FULL, STORAGE_FAILED; the previous content of `file` is then untouched.
 */
export async function writeFileAtomic(
  file: string,
  data: Uint8Array | string,
  { mode = 0o600, signal }: AtomicWriteOptions = {},
): Promise<void> {
  const draft = await TemporaryFile.create(dirname(file), basename(file), mode);
  try {
    signal?.throwIfAborted();
    await draft.write(typeof data === 'string' ? Buffer.from(data) : data);
    await draft.publish(file);
  } catch (error) {
    await draft.discard();
    throw error;
  }
}

/** A file being written under a temporary name: `write` as often as needed, then `publish` or `discard`. */
export class TemporaryFile {
  readonly path: string;
  readonly #handle: FileHandle;
  #closed = false;

  private constructor(path: string, handle: FileHandle) {
    this.path = path;
    this.#handle = handle;
  }

  static async create(folder: string, name: string, mode = 0o600): Promise<TemporaryFile> {
    const path = join(folder, `.${name}.${randomBytes(8).toString('hex')}.tmp`);
    return new TemporaryFile(path, await naming(path, () => open(path, 'wx', mode)));
  }

  async write(bytes: Uint8Array): Promise<void> {
    await naming(this.path, () => writeFully(this.#handle, bytes));
  }

  /** Syncs the bytes, gives the file its final name, and syncs the folder. */
  async publish(file: string): Promise<void> {
    await naming(file, async () => {
      await this.#handle.sync();
      await this.#close();
      await rename(this.path, file);
      await syncFolder(dirname(file));
    });
  }

  /** Removes the temporary file; never throws, since it runs where another error is already on its way. */
  async discard(): Promise<void> {
    await this.#close().catch(() => undefined);
    await rm(this.path, { force: true }).catch(() => undefined);
  }

  async #close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    await this.#handle.close();
  }
}

/** Makes renames and removals inside a folder durable. Windows has no such call and needs none. */
export async function syncFolder(folder: string): Promise<void> {
  if (process.platform === 'win32') return;
  const handle = await open(folder, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/**
 * Makes a folder, and those on the way to it, durably: the name of each is in the folder above it, which is synced.
 * Does nothing where it is there.
 */
export async function makeFolder(folder: string, mode?: number): Promise<void> {
  const first = await makeMissing(resolve(folder), mode);
  if (first === undefined) return;
  for (let made = resolve(folder); ; made = dirname(made)) {
    // In a folder that may be written to but not read, names cannot be made durable.
    await syncFolder(dirname(made)).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== 'EACCES') throw error;
    });
    if (made === first) return;
  }
}

/**
 * Makes a folder step by step and gives the first that was not there; undefined where all were. Node's own recursive
 * `mkdir` never ends where a folder is said to be missing although the one above it is there, as anywhere in /proc.
 */
async function makeMissing(folder: string, mode?: number): Promise<string | undefined> {
  try {
    await mkdir(folder, mode);
    return folder;
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'EEXIST' && (await stat(folder)).isDirectory()) return undefined;
    const above = dirname(folder);
    if (code !== 'ENOENT' || above === folder) throw error;
    const first = await makeMissing(above, mode);
    // Once more, and not again: with all above it there, what is missing then is missing for good.
    await mkdir(folder, mode).catch((second: NodeJS.ErrnoException) => {
      if (second.code !== 'EEXIST') throw second;
    });
    return first ?? folder;
  }
}

/** Removes temporary files that a killed process left. Call it only under the data folder's lock. */
export async function removeLeftovers(folder: string): Promise<void> {
  for (const name of await readdir(folder)) {
    if (TEMPORARY.test(name)) await rm(join(folder, name), { force: true });
  }
}

/** Writes every byte; one `write` call of the operating system may take fewer than asked. */
export async function writeFully(handle: FileHandle, bytes: Uint8Array, position: number | null = null): Promise<void> {
  let written = 0;
  while (written < bytes.length) {
    const at = position === null ? null : position + written;
    const step = await handle.write(bytes, written, bytes.length - written, at);
    written += step.bytesWritten;
  }
}

/** Runs a file operation and turns its failure into an error that names the file and, where known, the remedy. */
export async function naming<T>(file: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    throw storageError(error, file);
  }
}

/** The table's error for a failed file operation; anything that is not a system error is returned unchanged. */
export function storageError(error: unknown, file: string): unknown {
  if (!(error instanceof Error) || !('code' in error) || !('syscall' in error)) return error;
  const problem = String(error.code);
  return NO_SPACE.has(problem)
    ? new PrefmeshError('DISK_FULL', { file, problem }, { cause: error })
    : new PrefmeshError('STORAGE_FAILED', { file, problem }, { cause: error });
}
