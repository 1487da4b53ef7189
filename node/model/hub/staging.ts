/**
 * Where a model waits until it is whole: `models/.incoming/<maker>--<name>/`.
 *
 * Partial files are named by the hash of their content, so that they serve any commit that has the same file. The
 * whole model is put together in a folder beside them, by hard links where the file system has them, and then renamed
 * into its place in one step. A process that dies before that leaves every verified byte in the partial files.
 */
import { copyFile, link, mkdir, rename, rm, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { PrefmeshError } from '../../../protocol/errors.ts';
import { naming, syncFolder } from '../../storage/atomicFile.ts';
import type { DataPaths } from '../../storage/dataFolder.ts';
import type { HubFile } from './repository.ts';

/** The folder of models on their way in; its name cannot be an id. */
export const INCOMING = '.incoming';

export class Staging implements AsyncDisposable {
  /** The folder of all models. */
  readonly models: string;
  /** Where the model will be. */
  readonly target: string;
  readonly #folder: string;
  readonly #lock: DatabaseSync;

  private constructor(models: string, id: string, folder: string, lock: DatabaseSync) {
    this.models = models;
    this.target = join(models, ...id.split('/'));
    this.#folder = folder;
    this.#lock = lock;
  }

  /** @throws PULL_LOCKED while another process pulls the same model; STORAGE_FAILED */
  static async open({ models }: DataPaths, id: string): Promise<Staging> {
    const folder = join(models, INCOMING, id.replace('/', '--'));
    await naming(folder, () => mkdir(join(folder, 'parts'), { recursive: true, mode: 0o700 }));
    const lock = new DatabaseSync(`${folder}.lock`, { timeout: 0 });
    try {
      lock.exec('BEGIN EXCLUSIVE');
    } catch (cause) {
      lock.close();
      throw new PrefmeshError('PULL_LOCKED', { model: id }, { cause });
    }
    return new Staging(models, id, folder, lock);
  }

  partOf({ hash }: HubFile): string {
    return join(this.#folder, 'parts', hash.hex);
  }

  /** Bytes of a file that are here already. */
  async lengthOf(file: HubFile): Promise<number> {
    return stat(this.partOf(file)).then(
      ({ size }) => Math.min(size, file.size),
      () => 0,
    );
  }

  /** Takes a file of the model in its place, if the file system can, instead of fetching it again. */
  async adopt(file: HubFile, from: string): Promise<void> {
    await this.forget(file);
    await naming(from, () => linkOrCopy(from, this.partOf(file)));
  }

  async forget(file: HubFile): Promise<void> {
    await rm(this.partOf(file), { force: true });
  }

  /** Puts verified files together under their names, in a folder that is not in its place yet. */
  async assemble(files: readonly HubFile[]): Promise<string> {
    const whole = join(this.#folder, 'whole');
    await naming(whole, async () => {
      await rm(whole, { recursive: true, force: true });
      await mkdir(whole, { mode: 0o700 });
      for (const file of files) await linkOrCopy(this.partOf(file), join(whole, file.name));
    });
    return whole;
  }

  /** Renames the assembled folder into its place, and clears what is left. What was in the place before is removed. */
  async place(whole: string): Promise<void> {
    const previous = join(this.#folder, 'previous');
    await naming(this.target, async () => {
      await mkdir(dirname(this.target), { recursive: true, mode: 0o700 });
      await syncFolder(whole);
      await rm(previous, { recursive: true, force: true });
      // No system call of Node exchanges two folders. A crash between the two renames leaves the verified parts, from
      // which the next pull places the model without fetching anything.
      await rename(this.target, previous).catch(ignoreMissing);
      await rename(whole, this.target);
      await syncFolder(dirname(this.target));
    });
    await this.clear();
  }

  /** Removes everything that waits here. */
  async clear(): Promise<void> {
    await naming(this.#folder, () => rm(this.#folder, { recursive: true, force: true }));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#lock.close();
  }
}

/** A second name for the same bytes; a copy on file systems that have no such thing. */
async function linkOrCopy(from: string, to: string): Promise<void> {
  try {
    await link(from, to);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code !== 'EPERM' && code !== 'ENOTSUP' && code !== 'ENOSYS' && code !== 'EXDEV' && code !== 'EMLINK')
      throw error;
    await copyFile(from, to);
  }
}

function ignoreMissing(error: NodeJS.ErrnoException): void {
  if (error.code !== 'ENOENT') throw error;
}
