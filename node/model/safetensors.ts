/**
 * The safetensors file format: an 8-byte little-endian header length, a JSON header that gives each tensor's dtype,
 * shape and byte range, then the bytes. Source: https://huggingface.co/docs/safetensors (format).
 *
 * Reading is strict, because the file comes from elsewhere: the header is bounded before it is read, ranges must lie
 * end to end and fill the file exactly, no name may occur twice, and every length must match its dtype and shape.
 * A tensor's bytes are read only when asked for. Numbers are little-endian, as on every platform Node runs on.
 */
import { closeSync, fstatSync, openSync, readSync } from 'node:fs';
import { basename, dirname } from 'node:path';
import { PrefmeshError } from '../../protocol/errors.ts';
import { LIMITS } from '../../protocol/limits.ts';
import { widen } from '../engine/halfPrecision.ts';
import { TemporaryFile } from '../storage/atomicFile.ts';
import { tensorBytes } from './tensorBytes.ts';

export type TensorDtype = 'F32' | 'F16' | 'BF16';

/** What a file of quantised weights holds besides numbers: packed bytes. */
export type StoredDtype = TensorDtype | 'U8';

export interface TensorLocation<Dtype extends StoredDtype = TensorDtype> {
  readonly name: string;
  readonly dtype: Dtype;
  readonly shape: readonly number[];
  readonly file: string;
  /** Absolute byte offset in the file. */
  readonly offset: number;
  readonly bytes: number;
}

export interface SafetensorsIndex<Dtype extends StoredDtype = TensorDtype> {
  readonly file: string;
  readonly tensors: ReadonlyMap<string, TensorLocation<Dtype>>;
  readonly metadata: Readonly<Record<string, string>>;
}

/** A tensor to be written: row-major float32 values. */
export interface NamedTensor {
  readonly name: string;
  readonly shape: readonly number[];
  readonly data: Float32Array;
}

export const BYTES_PER_ELEMENT: Readonly<Record<StoredDtype, number>> = { F32: 4, F16: 2, BF16: 2, U8: 1 };
const LENGTH_BYTES = 8;
const PIECE_BYTES = 4 * 1024 * 1024;

/**
 * Reads the header of a safetensors file of numbers.
 *
 * @throws WEIGHTS_INVALID naming the file and the tensor (`(header)` when no single one is at fault)
 */
export function readSafetensorsIndex(file: string): SafetensorsIndex {
  const index = readPackedIndex(file);
  for (const { name, dtype } of index.tensors.values()) {
    if (dtype === 'U8') throw broken(file, name, 'has dtype U8; F32, F16 and BF16 are read');
  }
  return index as SafetensorsIndex;
}

/** As `readSafetensorsIndex`, of a file that may hold packed bytes too. */
export function readPackedIndex(file: string): SafetensorsIndex<StoredDtype> {
  const descriptor = openSync(file, 'r');
  try {
    const fileBytes = fstatSync(descriptor).size;
    if (fileBytes < LENGTH_BYTES)
      throw broken(file, '(header)', `the file has ${fileBytes} bytes, fewer than a header`);
    const headerBytes = Number(readExactly(descriptor, file, '(header)', 0, LENGTH_BYTES).readBigUInt64LE());
    const most = Math.min(fileBytes - LENGTH_BYTES, LIMITS.safetensorsHeader.value);
    if (headerBytes > most)
      throw broken(file, '(header)', `its length of ${headerBytes} bytes is over the ${most} possible`);
    const text = readExactly(descriptor, file, '(header)', LENGTH_BYTES, headerBytes).toString('utf8');
    return parseHeader(file, text, LENGTH_BYTES + headerBytes, fileBytes);
  } finally {
    closeSync(descriptor);
  }
}

function parseHeader(file: string, text: string, dataStart: number, fileBytes: number): SafetensorsIndex<StoredDtype> {
  let header: unknown;
  try {
    header = JSON.parse(text);
  } catch (cause) {
    throw broken(file, '(header)', 'is not JSON', cause);
  }
  if (!isRecord(header)) throw broken(file, '(header)', 'is not a JSON object');
  const twice = firstDuplicateKey(text);
  if (twice !== undefined) throw broken(file, twice, 'occurs twice');

  const { __metadata__: metadata = {}, ...entries } = header;
  if (!isRecord(metadata) || Object.values(metadata).some((value) => typeof value !== 'string')) {
    throw broken(file, '(header)', 'its __metadata__ is not a map of strings');
  }
  const located = Object.entries(entries).map(([name, entry]) => locate(file, name, entry, dataStart, fileBytes));
  located.sort((a, b) => a.offset - b.offset || a.bytes - b.bytes);
  let end = dataStart;
  for (const tensor of located) {
    if (tensor.offset !== end)
      throw broken(file, tensor.name, tensor.offset < end ? 'overlaps another' : 'leaves a gap before it');
    end += tensor.bytes;
  }
  if (end !== fileBytes) throw broken(file, '(header)', `tensors end at byte ${end}, the file at ${fileBytes}`);
  return {
    file,
    tensors: new Map(located.map((tensor) => [tensor.name, tensor])),
    metadata: metadata as Record<string, string>,
  };
}

function locate(
  file: string,
  name: string,
  entry: unknown,
  dataStart: number,
  fileBytes: number,
): TensorLocation<StoredDtype> {
  if (!isRecord(entry)) throw broken(file, name, 'is not described by an object');
  const { dtype, shape, data_offsets: range } = entry;
  if (!isDtype(dtype)) throw broken(file, name, `has dtype ${String(dtype)}; F32, F16 and BF16 are read`);
  if (!isNaturals(shape)) throw broken(file, name, 'has no valid shape');
  if (!isNaturals(range) || range.length !== 2) throw broken(file, name, 'has no valid data_offsets');
  const [begin, end] = range as [number, number];
  if (begin > end || dataStart + end > fileBytes)
    throw broken(file, name, `its bytes ${begin} to ${end} lie outside the file`);
  const expected = shape.reduce((product, side) => product * side, BYTES_PER_ELEMENT[dtype]);
  if (end - begin !== expected) {
    throw broken(
      file,
      name,
      `has ${end - begin} bytes where ${dtype} of shape [${shape.join(', ')}] takes ${expected}`,
    );
  }
  return { name, dtype, shape, file, offset: dataStart + begin, bytes: end - begin };
}

/** A tensor's bytes as they are stored. */
export function readTensorBytes({ file, name, offset, bytes }: TensorLocation<StoredDtype>): Uint8Array<ArrayBuffer> {
  const descriptor = openSync(file, 'r');
  try {
    return new Uint8Array(readExactly(descriptor, file, name, offset, bytes).buffer);
  } finally {
    closeSync(descriptor);
  }
}

/** A tensor's bytes as they are stored, in pieces. */
export function* tensorPieces({ file, name, offset, bytes }: TensorLocation<StoredDtype>): Iterable<Uint8Array> {
  const descriptor = openSync(file, 'r');
  try {
    for (let done = 0; done < bytes; done += PIECE_BYTES) {
      yield readExactly(descriptor, file, name, offset + done, Math.min(PIECE_BYTES, bytes - done));
    }
  } finally {
    closeSync(descriptor);
  }
}

/** Reads one tensor as row-major float32. F16 and BF16 widen exactly, NaN and subnormals included. */
export function readTensor(location: TensorLocation): Float32Array {
  const { buffer } = readTensorBytes(location);
  switch (location.dtype) {
    case 'F32':
      return new Float32Array(buffer);
    case 'F16':
    case 'BF16':
      return new Float32Array(widen(location.dtype, new Uint16Array(buffer)).buffer);
  }
}

/**
 * Writes a safetensors file in one dtype. Tensors are stored sorted by name, so equal content gives equal bytes.
 * The file appears whole or not at all.
 *
 * @throws EXPORT_RANGE for a value that `dtype` cannot hold; DISK_FULL, STORAGE_FAILED
 */
export async function writeSafetensors(
  file: string,
  tensors: Iterable<NamedTensor>,
  metadata: Readonly<Record<string, string>> = { format: 'pt' },
  dtype: TensorDtype = 'F32',
): Promise<void> {
  const sorted = [...tensors].sort((a, b) => (a.name < b.name ? -1 : 1));
  const header: Record<string, unknown> = { __metadata__: metadata };
  let end = 0;
  for (const { name, shape, data } of sorted) {
    const begin = end;
    end += data.length * BYTES_PER_ELEMENT[dtype];
    header[name] = { dtype, shape, data_offsets: [begin, end] };
  }
  const json = Buffer.from(JSON.stringify(header));
  const padded = Buffer.alloc(Math.ceil(json.length / 8) * 8, ' ');
  json.copy(padded);
  const length = Buffer.alloc(LENGTH_BYTES);
  length.writeBigUInt64LE(BigInt(padded.length));

  const draft = await TemporaryFile.create(dirname(file), basename(file), 0o644);
  try {
    await draft.write(length);
    await draft.write(padded);
    for (const { name, data } of sorted) await draft.write(tensorBytes(name, data, dtype));
    await draft.publish(file);
  } catch (error) {
    await draft.discard();
    throw error;
  }
}

/** Reads `length` bytes into a buffer that starts at offset 0 of its own memory, so that typed views of it align. */
function readExactly(
  descriptor: number,
  file: string,
  tensor: string,
  offset: number,
  length: number,
): Buffer<ArrayBuffer> {
  const buffer = Buffer.from(new ArrayBuffer(length));
  let read = 0;
  while (read < length) {
    const count = readSync(descriptor, buffer, read, length - read, offset + read);
    if (count === 0) throw broken(file, tensor, `the file ends ${length - read} bytes early`);
    read += count;
  }
  return buffer;
}

/** JSON.parse keeps the last of two equal keys without a word; this finds the first key of the outer object seen twice. */
function firstDuplicateKey(json: string): string | undefined {
  const seen = new Set<string>();
  let depth = 0;
  let isKey = false;
  for (const [token] of json.matchAll(/"(?:[^"\\]|\\.)*"|[{}[\],:]/g)) {
    if (token === '{' || token === '[') depth++;
    else if (token === '}' || token === ']') depth--;
    isKey = depth === 1 && (token === '{' || token === ',' || (isKey && token.startsWith('"')));
    if (depth !== 1 || !isKey || !token.startsWith('"')) continue;
    const key = JSON.parse(token) as string;
    if (seen.has(key)) return key;
    seen.add(key);
    isKey = false;
  }
  return undefined;
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function isDtype(value: unknown): value is StoredDtype {
  return typeof value === 'string' && Object.hasOwn(BYTES_PER_ELEMENT, value);
}

function isNaturals(value: unknown): value is number[] {
  return Array.isArray(value) && value.every((item) => Number.isSafeInteger(item) && (item as number) >= 0);
}

function broken(file: string, tensor: string, problem: string, cause?: unknown): PrefmeshError {
  return new PrefmeshError('WEIGHTS_INVALID', { file, tensor, problem }, cause === undefined ? {} : { cause });
}
