/**
 * A blob on its way in: bytes that are appended in order to `<hash>.part` until the hash of the whole can be checked.
 */
import type { createHash } from 'node:crypto';
import { type FileHandle, rename, rm } from 'node:fs/promises';
import { PrefmeshError } from '../../protocol/errors.ts';
import type { Sha256 } from '../../protocol/names.ts';
import { naming, syncFolder, writeFully } from './atomicFile.ts';

/** An open, locked `.part` file and what is known of it; made by `BlobStore.receive`. */
export interface PartialState {
  readonly hash: Sha256;
  readonly size: number;
  readonly length: number;
  readonly handle: FileHandle;
  readonly digest: ReturnType<typeof createHash>;
  readonly part: string;
  readonly path: string;
  readonly folder: string;
  readonly close: () => void;
}

/** Bytes are appended in order; `finish` verifies, syncs and names the blob. Disposing keeps what is there. */
export class PartialBlob implements AsyncDisposable {
  readonly #state: PartialState;
  /** Bytes already there when it was opened, from an earlier attempt. */
  readonly resumedAt: number;
  #length: number;
  #open = true;

  constructor(state: PartialState) {
    this.#state = state;
    this.resumedAt = state.length;
    this.#length = state.length;
  }

  /** Bytes received so far, in order from the start. */
  get length(): number {
    return this.#length;
  }

  async append(bytes: Uint8Array): Promise<void> {
    const { size, part, handle, digest } = this.#state;
    if (this.#length + bytes.length > size) throw new RangeError('more bytes than the blob has');
    const written = naming(part, () => writeFully(handle, bytes, this.#length));
    digest.update(bytes); // while another thread writes
    await written;
    this.#length += bytes.length;
  }

  /**
   * Verifies the whole, makes it durable under its name and closes it.
   * @throws BLOB_MISMATCH: the received bytes are then gone, so that the next attempt starts clean.
   */
  async finish(): Promise<void> {
    const { hash, size, part, path, folder, handle, digest } = this.#state;
    if (this.#length !== size) throw new RangeError('the blob is not complete');
    const actual = digest.digest('hex');
    await naming(part, async () => {
      if (actual === hash) await handle.sync();
      await this.#close();
      await (actual === hash ? rename(part, path) : rm(part, { force: true }));
      await syncFolder(folder);
    });
    if (actual !== hash) throw new PrefmeshError('BLOB_MISMATCH', { hash, actual });
  }

  /** Keeps what was received for the next attempt. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#close();
  }

  async #close(): Promise<void> {
    if (!this.#open) return;
    this.#open = false;
    await this.#state.handle.close();
    this.#state.close();
  }
}
