/**
 * The content-addressed store: every update and adapter is a file named by the SHA-256 of its bytes.
 *
 * `put` is durable before it returns, so a receipt may be signed after it. A blob that comes over the network grows
 * in `<hash>.part`, in order and chunk by chunk, survives a cut or a crash there, and gets its name only when the
 * hash of the whole agrees. A stored blob that no longer has its hash is moved to `quarantine/` and never served.
 */
import { createHash, randomBytes } from 'node:crypto';
import { constants } from 'node:fs';
import { type FileHandle, open, readdir, rename, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { PrefmeshError } from '../../protocol/errors.ts';
import { LIMITS } from '../../protocol/limits.ts';
import { type Sha256, isSha256 } from '../../protocol/names.ts';
import { TemporaryFile, makeFolder, naming, storageError, syncFolder } from './atomicFile.ts';
import { PartialBlob } from './partialBlob.ts';
import { hashFile, readRange } from './reading.ts';

export interface PutOptions {
  /** Refuse more bytes than this. */
  readonly maxBytes?: number;
  readonly signal?: AbortSignal;
}

/** A stored blob opened for reading; `await using` closes it. */
export interface BlobReader extends AsyncDisposable {
  /** Bytes. */
  readonly size: number;
  /** Up to `length` bytes from `offset`; fewer only at the end. Not verified: the hash is of the whole. */
  read(offset: number, length: number): Promise<Uint8Array>;
}

/** What the protocol's work asks of a store of blobs: `BlobStore` in a node, and whatever keeps the same promises. */
export type Blobs = Pick<BlobStore, 'put' | 'read' | 'has' | 'size' | 'verify' | 'delete'>;

export class BlobStore {
  readonly folder: string;
  readonly #quarantine: string;
  readonly #receiving = new Set<Sha256>();

  private constructor(folder: string) {
    this.folder = folder;
    this.#quarantine = join(folder, 'quarantine');
  }

  static async open(folder: string): Promise<BlobStore> {
    const store = new BlobStore(folder);
    await naming(folder, () => makeFolder(store.#quarantine, 0o700));
    return store;
  }

  /**
   * Stores bytes and returns their SHA-256 in hex. When it returns, the blob survives a power cut.
   * @throws BLOB_TOO_LARGE, DISK_FULL, STORAGE_FAILED
   */
  async put(
    data: Uint8Array | AsyncIterable<Uint8Array>,
    { maxBytes = LIMITS.blobSize.value, signal }: PutOptions = {},
  ): Promise<Sha256> {
    const digest = createHash('sha256');
    let size = 0;
    const draft = await TemporaryFile.create(this.folder, 'put');
    try {
      for await (const bytes of data instanceof Uint8Array ? [data] : data) {
        signal?.throwIfAborted();
        size += bytes.length;
        if (size > maxBytes) throw new PrefmeshError('BLOB_TOO_LARGE', { size, limit: maxBytes });
        digest.update(bytes);
        await draft.write(bytes);
      }
      const hash = digest.digest('hex') as Sha256;
      await draft.publish(this.#path(hash));
      return hash;
    } catch (error) {
      await draft.discard();
      throw error;
    }
  }

  async has(hash: Sha256): Promise<boolean> {
    return (await this.size(hash)) !== undefined;
  }

  /** Bytes of a stored blob, or undefined where there is none. */
  async size(hash: Sha256): Promise<number | undefined> {
    const path = this.#path(hash);
    try {
      return (await stat(path)).size;
    } catch (error) {
      if (isNotFound(error)) return undefined;
      throw storageError(error, path);
    }
  }

  /** @throws BLOB_MISSING */
  async open(hash: Sha256): Promise<BlobReader> {
    const handle = await this.#openFile(hash);
    const { size } = await handle.stat();
    return {
      size,
      read: (offset, length) =>
        naming(this.#path(hash), () => readRange(handle, offset, Math.min(length, size - offset))),
      [Symbol.asyncDispose]: () => handle.close(),
    };
  }

  /**
   * The whole blob, verified against its name.
   * @throws BLOB_MISSING, BLOB_CORRUPT (and the file is then in quarantine), BLOB_TOO_LARGE
   */
  async read(
    hash: Sha256,
    { maxBytes = LIMITS.blobSize.value }: { readonly maxBytes?: number } = {},
  ): Promise<Uint8Array> {
    const handle = await this.#openFile(hash);
    let bytes: Uint8Array;
    try {
      const { size } = await handle.stat();
      if (size > maxBytes) throw new PrefmeshError('BLOB_TOO_LARGE', { size, limit: maxBytes });
      bytes = await naming(this.#path(hash), () => readRange(handle, 0, size));
    } finally {
      await handle.close();
    }
    if (createHash('sha256').update(bytes).digest('hex') !== hash) await this.#refuseCorrupt(hash);
    return bytes;
  }

  /** Reads a stored blob through in pieces. @throws BLOB_MISSING, BLOB_CORRUPT (the file is then in quarantine) */
  async verify(hash: Sha256, { signal }: { readonly signal?: AbortSignal } = {}): Promise<void> {
    const handle = await this.#openFile(hash);
    let actual: string;
    try {
      actual = await naming(this.#path(hash), () => hashFile(handle, () => signal?.throwIfAborted()));
    } finally {
      await handle.close();
    }
    if (actual !== hash) await this.#refuseCorrupt(hash);
  }

  /** Hashes of all complete blobs, sorted. */
  async list(): Promise<Sha256[]> {
    return (await naming(this.folder, () => readdir(this.folder))).filter(isSha256).toSorted();
  }

  /** Forgets a blob and what was received of it; durable, and no error where there is none. */
  async delete(hash: Sha256): Promise<void> {
    const path = this.#path(hash);
    await naming(path, async () => {
      await rm(path, { force: true });
      await rm(`${path}.part`, { force: true });
      await syncFolder(this.folder);
    });
  }

  /**
   * Opens the unfinished file of a blob that is being received, at whole chunks of `chunkSize` bytes: what was cut
   * mid-chunk is fetched again. One receiver at a time.
   */
  async receive(hash: Sha256, size: number, chunkSize: number): Promise<PartialBlob> {
    const path = this.#path(hash);
    if (this.#receiving.has(hash)) throw new Error(`blob ${hash} is already being received`);
    this.#receiving.add(hash);
    try {
      const part = `${path}.part`;
      const handle = await naming(part, () => open(part, constants.O_RDWR | constants.O_CREAT, 0o600));
      try {
        const stored = (await handle.stat()).size;
        const length = stored >= size ? size : stored - (stored % chunkSize);
        await naming(part, () => handle.truncate(length));
        const digest = createHash('sha256');
        await naming(part, () => hashFile(handle, (bytes) => digest.update(bytes)));
        const close = () => this.#receiving.delete(hash);
        return new PartialBlob({ hash, size, length, handle, digest, part, path, folder: this.folder, close });
      } catch (error) {
        await handle.close();
        throw error;
      }
    } catch (error) {
      this.#receiving.delete(hash);
      throw error;
    }
  }

  async #openFile(hash: Sha256): Promise<FileHandle> {
    const path = this.#path(hash);
    try {
      return await open(path, 'r');
    } catch (error) {
      if (isNotFound(error)) throw new PrefmeshError('BLOB_MISSING', { hash }, { cause: error });
      throw storageError(error, path);
    }
  }

  async #refuseCorrupt(hash: Sha256): Promise<never> {
    const file = join(this.#quarantine, `${hash}.${randomBytes(4).toString('hex')}`);
    await naming(file, async () => {
      await rename(this.#path(hash), file);
      await syncFolder(this.#quarantine);
      await syncFolder(this.folder);
    });
    throw new PrefmeshError('BLOB_CORRUPT', { hash, file });
  }

  /** Only a hash in lower-case hex ever becomes a path. */
  #path(hash: Sha256): string {
    if (!isSha256(hash)) throw new TypeError('a blob is named by 64 hex digits');
    return join(this.folder, hash);
  }
}

function isNotFound(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'ENOENT';
}
