/**
 * The identity of a checkpoint: one SHA-256 over everything that decides what the model says.
 *
 * Hashed are, each preceded by its length in 8 bytes little-endian: a label; for every tensor in order of its name
 * (by UTF-16 code unit) the JSON `[name, dtype, shape]` and the stored bytes; then for each text file of `TEXT_FILES`
 * its bytes, a missing one counting as empty. How tensors are spread over files does not matter.
 *
 * Hashing gigabytes takes seconds, so the result for a large checkpoint is remembered in the folder together with
 * the size and modification time of every file it depends on, and believed while those stay the same.
 */
import { createHash, type Hash } from 'node:crypto';
import { open, readFile, stat } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { isPrefmeshError, PrefmeshError } from '../../protocol/errors.ts';
import { LIMITS } from '../../protocol/limits.ts';
import { writeFileAtomic } from '../storage/atomicFile.ts';
import type { StoredDtype, TensorLocation } from './safetensors.ts';

const LABEL = 'prefmesh checkpoint 1';
const TEXT_FILES = ['config.json', 'tokenizer.json', 'tokenizer_config.json', 'chat_template.jinja'] as const;
const CACHE_FILE = '.prefmesh-hash.json';
const READ_ONLY = new Set(['EROFS', 'EACCES', 'EPERM']);
const READ_BYTES = 4 * 1024 * 1024;

/** File name → `size:mtime in ns`. */
type Stamps = Record<string, string>;

/** The identity of the checkpoint in `folder`, lower-case hex, from the cache beside it if nothing has changed. */
export async function checkpointHash(
  folder: string,
  tensors: ReadonlyMap<string, TensorLocation<StoredDtype>>,
): Promise<string> {
  const bytes = [...tensors.values()].reduce((sum, tensor) => sum + tensor.bytes, 0);
  if (bytes < LIMITS.checkpointHashCacheFrom.value) return hashCheckpoint(folder, tensors);

  const stamps = await stampsOf(folder, tensors);
  const remembered = await readCache(folder);
  if (remembered !== undefined && JSON.stringify(remembered.files) === JSON.stringify(stamps)) return remembered.hash;
  const hash = await hashCheckpoint(folder, tensors);
  await writeCache(folder, { hash, files: stamps });
  return hash;
}

/** The identity computed from the bytes, no cache. */
async function hashCheckpoint(
  folder: string,
  tensors: ReadonlyMap<string, TensorLocation<StoredDtype>>,
): Promise<string> {
  const hash = createHash('sha256');
  hashPart(hash, Buffer.from(LABEL));
  const sorted = [...tensors.values()].sort((a, b) => (a.name < b.name ? -1 : 1));
  for (const tensor of sorted) {
    hashPart(hash, Buffer.from(JSON.stringify([tensor.name, tensor.dtype, tensor.shape])));
    await hashTensor(hash, tensor);
  }
  for (const name of TEXT_FILES) hashPart(hash, (await readIfThere(join(folder, name))) ?? Buffer.alloc(0));
  return hash.digest('hex');
}

async function hashTensor(hash: Hash, tensor: TensorLocation<StoredDtype>): Promise<void> {
  hash.update(lengthPrefix(tensor.bytes));
  await using file = await open(tensor.file, 'r');
  const buffer = Buffer.alloc(Math.min(READ_BYTES, tensor.bytes));
  for (let done = 0; done < tensor.bytes;) {
    const { bytesRead } = await file.read(
      buffer,
      0,
      Math.min(buffer.length, tensor.bytes - done),
      tensor.offset + done,
    );
    if (bytesRead === 0) {
      const problem = `the file ends ${tensor.bytes - done} bytes early`;
      throw new PrefmeshError('WEIGHTS_INVALID', { file: tensor.file, tensor: tensor.name, problem });
    }
    hash.update(buffer.subarray(0, bytesRead));
    done += bytesRead;
  }
}

function hashPart(hash: Hash, bytes: Buffer): void {
  hash.update(lengthPrefix(bytes.length)).update(bytes);
}

function lengthPrefix(length: number): Buffer {
  const prefix = Buffer.alloc(8);
  prefix.writeBigUInt64LE(BigInt(length));
  return prefix;
}

async function stampsOf(folder: string, tensors: ReadonlyMap<string, TensorLocation<StoredDtype>>): Promise<Stamps> {
  const weightFiles = [...new Set([...tensors.values()].map((tensor) => tensor.file))];
  const stamps: Stamps = {};
  for (const file of [...weightFiles.sort(), ...TEXT_FILES.map((name) => join(folder, name))]) {
    const status = await stat(file, { bigint: true }).catch(ignoreMissing);
    stamps[basename(file)] = status === undefined ? 'absent' : `${status.size}:${status.mtimeNs}`;
  }
  return stamps;
}

async function readCache(folder: string): Promise<{ hash: string; files: Stamps } | undefined> {
  const bytes = await readIfThere(join(folder, CACHE_FILE));
  if (bytes === undefined) return undefined;
  try {
    const { hash, files } = JSON.parse(bytes.toString()) as { hash?: unknown; files?: unknown };
    return typeof hash === 'string' && /^[0-9a-f]{64}$/.test(hash) ? { hash, files: files as Stamps } : undefined;
  } catch {
    return undefined; // a damaged cache is worth nothing; the hash is computed anew and the file rewritten
  }
}

/** Models often lie where the user may not write; only then is remembering left out. */
async function writeCache(folder: string, entry: { hash: string; files: Stamps }): Promise<void> {
  try {
    await writeFileAtomic(join(folder, CACHE_FILE), JSON.stringify(entry, null, 2), { mode: 0o644 });
  } catch (error) {
    if (!isPrefmeshError(error, 'STORAGE_FAILED') || !READ_ONLY.has(String(error.details.problem))) throw error;
  }
}

async function readIfThere(file: string): Promise<Buffer | undefined> {
  return readFile(file).catch(ignoreMissing);
}

function ignoreMissing(error: NodeJS.ErrnoException): undefined {
  if (error.code !== 'ENOENT') throw error;
  return undefined;
}
