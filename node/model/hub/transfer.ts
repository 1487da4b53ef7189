/**
 * One file on its way in: bytes appended to a partial file that is named by what the whole must hash to.
 *
 * A transfer that was cut goes on where it stopped (HTTP Range, RFC 9110 section 14), in the same run or in a later
 * one. What is there already is hashed again at the start, so the final hash covers every byte that is kept. A server
 * that ignores the range sends all anew, and then all is taken anew.
 */
import { createHash, type Hash } from 'node:crypto';
import { constants } from 'node:fs';
import { type FileHandle, open, rm } from 'node:fs/promises';
import { PrefmeshError } from '../../../protocol/errors.ts';
import { LIMITS } from '../../../protocol/limits.ts';
import { naming, writeFully } from '../../storage/atomicFile.ts';
import { readRange } from '../../storage/reading.ts';
import type { HubConnection, OpenAnswer } from './connection.ts';
import type { HubFile, HubModel } from './repository.ts';

export interface TransferOptions {
  /** Told after every piece: how many bytes of the file are here. */
  readonly onLength?: (length: number) => void;
}

/**
 * Brings `file` of a model into the partial file `part`, whole and verified.
 *
 * @returns how many bytes came over the network
 * @throws HUB_FILE_MISMATCH (the bytes are then removed), DISK_FULL, STORAGE_FAILED and the errors of `HubConnection`;
 * with all but the first, what came is kept for the next attempt
 */
export async function transferFile(
  hub: HubConnection,
  model: HubModel,
  file: HubFile,
  part: string,
  { onLength = () => {} }: TransferOptions = {},
): Promise<number> {
  const handle = await naming(part, () => open(part, constants.O_RDWR | constants.O_CREAT, 0o600));
  let mismatch: PrefmeshError | undefined;
  let received = 0;
  try {
    const partial = new PartialFile(handle, part, file);
    await partial.readExisting(onLength, hub.signal);
    const url = fileUrl(hub, model, file);
    const fetchRest = async () => {
      const headers: Record<string, string> = { 'accept-encoding': 'identity' };
      if (partial.length > 0) headers.range = `bytes=${partial.length}-`;
      const subject = { model: model.id, revision: model.revision, file: file.name };
      const answer = await hub.open(url, subject, headers);
      const problem = differs(answer, file, partial.length);
      if (problem !== undefined) {
        await cancel(answer);
        throw new PrefmeshError('HUB_FILE_MISMATCH', { model: model.id, file: file.name, problem });
      }
      if (answer.status !== 206) await partial.restart();
      for await (const bytes of answer.body) {
        received += bytes.length;
        await partial.append(bytes, model.id);
        onLength(partial.length);
      }
    };
    // An answer may end early without any sign of it; the loop asks for the rest.
    while (partial.length < file.size) await hub.persist(fetchRest, () => partial.length);
    const actual = partial.digest();
    if (actual === file.hash.hex) await naming(part, () => handle.sync());
    else mismatch = wrongHash(model, file, actual);
  } catch (error) {
    if (!(error instanceof PrefmeshError) || error.code !== 'HUB_FILE_MISMATCH') throw error;
    mismatch = error;
  } finally {
    await handle.close();
  }
  if (mismatch !== undefined) {
    await rm(part, { force: true });
    throw mismatch;
  }
  return received;
}

/** The beginning of a file that is here, and the hash of it so far. */
class PartialFile {
  readonly #handle: FileHandle;
  readonly #path: string;
  readonly #file: HubFile;
  #hash: Hash;
  #length = 0;

  constructor(handle: FileHandle, path: string, file: HubFile) {
    this.#handle = handle;
    this.#path = path;
    this.#file = file;
    this.#hash = emptyHash(file);
  }

  get length(): number {
    return this.#length;
  }

  async readExisting(onLength: (length: number) => void, signal: AbortSignal | undefined): Promise<void> {
    const { size } = await naming(this.#path, () => this.#handle.stat());
    if (size > this.#file.size) return this.restart();
    while (this.#length < size) {
      signal?.throwIfAborted();
      const bytes = await naming(this.#path, () =>
        readRange(this.#handle, this.#length, Math.min(LIMITS.filePiece.value, size - this.#length)),
      );
      if (bytes.length === 0) return;
      this.#hash.update(bytes);
      this.#length += bytes.length;
      onLength(this.#length);
    }
  }

  async append(bytes: Uint8Array, model: string): Promise<void> {
    if (this.#length + bytes.length > this.#file.size) {
      const problem = `it is longer than the ${this.#file.size} bytes that the hub lists`;
      throw new PrefmeshError('HUB_FILE_MISMATCH', { model, file: this.#file.name, problem });
    }
    await naming(this.#path, () => writeFully(this.#handle, bytes, this.#length));
    this.#hash.update(bytes);
    this.#length += bytes.length;
  }

  async restart(): Promise<void> {
    await naming(this.#path, () => this.#handle.truncate(0));
    this.#hash = emptyHash(this.#file);
    this.#length = 0;
  }

  digest(): string {
    return this.#hash.digest('hex');
  }
}

/** Git hashes a blob together with a header that states its length. Source: "Pro Git", section 10.2. */
function emptyHash({ hash, size }: HubFile): Hash {
  return hash.algorithm === 'sha256' ? createHash('sha256') : createHash('sha1').update(`blob ${size}\0`);
}

/** Whether a file on disk has the content that the hub lists. */
export async function hasContent(path: string, file: HubFile, signal?: AbortSignal): Promise<boolean> {
  const handle = await naming(path, () => open(path, 'r'));
  try {
    const partial = new PartialFile(handle, path, file);
    if ((await handle.stat()).size !== file.size) return false;
    await partial.readExisting(() => {}, signal);
    return partial.digest() === file.hash.hex;
  } finally {
    await handle.close();
  }
}

function fileUrl(hub: HubConnection, { id, commit }: HubModel, { name }: HubFile): URL {
  return new URL(`${hub.endpoint}/${id}/resolve/${commit}/${encodeURIComponent(name)}`);
}

/** In what an answer's headers already differ from the list, before a byte of it is taken. */
function differs({ status, headers, hubHeaders }: OpenAnswer, file: HubFile, from: number): string | undefined {
  const etag = (hubHeaders.get('x-linked-etag') ?? '').replace(/^W\//, '').replaceAll('"', '');
  if (etag !== '' && etag !== file.hash.hex) return 'the hub lists one content and serves another';
  if (status === 206) {
    const range = /^bytes (\d+)-\d+\/(\d+|\*)$/.exec(headers.get('content-range') ?? '');
    if (range === null || Number(range[1]) !== from) return 'the server sends another part than was asked for';
    if (range[2] !== '*' && Number(range[2]) !== file.size)
      return `it has ${range[2]} bytes, the hub lists ${file.size}`;
    return undefined;
  }
  const length = headers.get('content-length');
  if (length !== null && Number(length) !== file.size) return `it has ${length} bytes, the hub lists ${file.size}`;
  return undefined;
}

async function cancel({ body }: OpenAnswer): Promise<void> {
  await body[Symbol.asyncIterator]().return?.();
}

function wrongHash(model: HubModel, file: HubFile, actual: string): PrefmeshError {
  const problem = `its ${file.hash.algorithm} is ${actual}, the hub lists ${file.hash.hex}`;
  return new PrefmeshError('HUB_FILE_MISMATCH', { model: model.id, file: file.name, problem });
}
