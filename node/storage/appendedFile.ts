/**
 * A log that is appended to, and cut back when what it tells is to be told again.
 *
 * A process that is killed may leave a record in the middle, or records of work that goes on from an earlier point.
 * Whoever opens the file says up to which byte it holds true; the rest is cut off before the first append.
 */
import { mkdir, open, readFile, type FileHandle } from 'node:fs/promises';
import { dirname } from 'node:path';
import { naming, syncFolder, writeFully } from './atomicFile.ts';

export class AppendedFile {
  readonly path: string;
  readonly #handle: FileHandle;

  private constructor(path: string, handle: FileHandle) {
    this.path = path;
    this.#handle = handle;
  }

  /**
   * Opens a file, creating it and its folder where they are missing.
   *
   * @param keep the offset up to which the present content stays
   * @throws DISK_FULL, STORAGE_FAILED
   */
  static async open(path: string, keep: (content: Buffer) => number): Promise<AppendedFile> {
    return naming(path, async () => {
      await mkdir(dirname(path), { recursive: true });
      const handle = await open(path, 'a+', 0o644);
      try {
        const content = await readFile(handle);
        const end = keep(content);
        if (end < content.length) await handle.truncate(end);
        await syncFolder(dirname(path));
        return new AppendedFile(path, handle);
      } catch (error) {
        await handle.close();
        throw error;
      }
    });
  }

  async append(bytes: Uint8Array): Promise<void> {
    await naming(this.path, () => writeFully(this.#handle, bytes));
  }

  /** What was appended so far survives a power cut once this resolves. */
  async sync(): Promise<void> {
    await naming(this.path, () => this.#handle.sync());
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#handle.close();
  }
}
