/**
 * Tensors of integers, and the one blob that stands for them: an adapter, or an update to one.
 *
 * A blob is canonical: one value has one encoding and everything else is refused, so that a blob's SHA-256 names the
 * value. All numbers are little-endian:
 *
 *   "prefmesh"  u16 version = 1  u8 bits  u8 0  u32 tensors
 *   per tensor, names ascending:  u16 bytes of name, name (ASCII), u8 dimensions, u32 each dimension
 *   zeros up to a multiple of 4, then every tensor's values as int32, row-major, in the order of the table
 *
 * -2^31 is not a value. It is what a processor makes of NaN, infinity and overflow when it converts a float to int32,
 * and is refused as such.
 */
import { PrefmeshError } from './errors.ts';
import { LIMITS } from './limits.ts';
import { sha256 } from './names.ts';
import type { Sha256 } from './names.ts';

export interface TensorShape {
  readonly name: string;
  readonly shape: readonly number[];
}

/** Tensors of integers at a scale of 2^-bits: an adapter, an update, or the part of one that a round trains. */
export interface FixedPointTensors {
  readonly bits: number;
  /** Ascending by name. */
  readonly table: readonly TensorShape[];
  /** All values, row-major, in the order of the table; each within ±(2^31 - 1). */
  readonly values: Int32Array;
}

/** The largest magnitude of a value. */
export const LARGEST_VALUE = 2 ** 31 - 1;

const MAGIC = Buffer.from('prefmesh');
const VERSION = 1;
const FIXED_HEAD_BYTES = 16;
const LARGEST_DIMENSION = 2 ** 24;
const NOT_A_VALUE = -(2 ** 31);
const LITTLE_ENDIAN = new Uint8Array(Uint16Array.of(1).buffer)[0] === 1;
const NAME = /^[A-Za-z0-9_.-]+$/;

/** Number of values of a tensor. */
export function valueCount({ shape }: TensorShape): number {
  return shape.reduce((product, dimension) => product * dimension, 1);
}

/** Number of values of all tensors of a table. */
export function tableValueCount(table: readonly TensorShape[]): number {
  return table.reduce((total, tensor) => total + valueCount(tensor), 0);
}

/** The one encoding of the tensors. Throws MALFORMED_BLOB, NOT_FINITE. */
export function encodeBlob(tensors: FixedPointTensors): Uint8Array {
  const head = encodeHead(tensors.table, tensors.bits);
  const bytes = new Uint8Array(head.length + 4 * tensors.values.length);
  bytes.set(head);
  const view = new DataView(bytes.buffer);
  checkValues(tensors);
  for (let i = 0; i < tensors.values.length; i++) view.setInt32(head.length + 4 * i, tensors.values[i]!, true);
  return bytes;
}

/**
 * Reads a blob. With `table` and `bits` it must have exactly those: then its length is known and checked first. Where
 * they lie as the processor wants them, the values are the bytes themselves, not a copy: who changes the one changes
 * the other.
 *
 * Throws OVERSIZED, WRONG_TENSOR_TABLE, MALFORMED_BLOB, NOT_FINITE.
 */
export function decodeBlob(
  bytes: Uint8Array,
  expected?: { readonly table: readonly TensorShape[]; readonly bits: number },
): FixedPointTensors {
  const limit = expected ? blobBytes(expected.table) : LIMITS.blobSize.value;
  if (bytes.length > limit) throw new PrefmeshError('OVERSIZED', { what: 'blob', bytes: bytes.length, limit });
  const { table, bits, head } = decodeHead(bytes);
  if (expected) {
    checkSameTable(table, expected.table);
    checkSameScale(bits, expected.bits);
  }
  const count = tableValueCount(table);
  if (bytes.length !== head + 4 * count) malformed(`${bytes.length} bytes, its table says ${head + 4 * count}`);
  const tensors = { bits, table, values: valuesAt(bytes, head, count) };
  checkValues(tensors);
  return tensors;
}

/** A round of a hundred updates reads each of them six times: copying them would be a seventh of its time. */
function valuesAt(bytes: Uint8Array, head: number, count: number): Int32Array {
  const start = bytes.byteOffset + head;
  if (LITTLE_ENDIAN && start % 4 === 0) return new Int32Array(bytes.buffer, start, count);
  const view = new DataView(bytes.buffer, start);
  return Int32Array.from({ length: count }, (_, i) => view.getInt32(4 * i, true));
}

/** Length of the blob of these tensors. */
export function blobBytes(table: readonly TensorShape[]): number {
  return headBytes(table) + 4 * tableValueCount(table);
}

/** Names a tensor table together with its scale: the SHA-256 of a blob's head, everything before its values. */
export function tableHash(table: readonly TensorShape[], bits: number): Sha256 {
  return sha256(encodeHead(table, bits));
}

/** Throws BLOB_MISMATCH unless these are the bytes that go by this hash. */
export function checkBlob(bytes: Uint8Array, hash: Sha256): void {
  const actual = sha256(bytes);
  if (actual !== hash) throw new PrefmeshError('BLOB_MISMATCH', { hash, actual });
}

/** Throws WRONG_TENSOR_TABLE unless both have the same names and shapes in the same order. */
export function checkSameTable(table: readonly TensorShape[], expected: readonly TensorShape[]): void {
  for (let i = 0; i < Math.max(table.length, expected.length); i++) {
    const [found, wanted] = [table[i], expected[i]];
    if (found?.name === wanted?.name && String(found?.shape) === String(wanted?.shape)) continue;
    throw new PrefmeshError('WRONG_TENSOR_TABLE', {
      problem: `tensor ${i} should be ${describe(wanted)}, is ${describe(found)}`,
    });
  }
}

/** Throws WRONG_TENSOR_TABLE unless both scales are the same. */
export function checkSameScale(bits: number, expected: number): void {
  if (bits !== expected) {
    throw new PrefmeshError('WRONG_TENSOR_TABLE', { problem: `values at 2^-${bits}, should be at 2^-${expected}` });
  }
}

/** Throws MALFORMED_BLOB for a table that no blob may have. */
export function checkTable(table: readonly TensorShape[]): void {
  if (table.length === 0 || table.length > LIMITS.tensors.value) malformed(`${table.length} tensors`);
  table.forEach(({ name, shape }, index) => {
    if (name.length > LIMITS.tensorName.value || !NAME.test(name)) malformed(`the name of tensor ${index}`);
    if (index > 0 && table[index - 1]!.name >= name) malformed(`tensor ${index} is not after the one before it`);
    if (shape.length < 1 || shape.length > LIMITS.dimensions.value)
      malformed(`tensor ${index}: ${shape.length} dimensions`);
    if (!shape.every((size) => Number.isInteger(size) && size >= 1 && size <= LARGEST_DIMENSION)) {
      malformed(`tensor ${index}: a dimension out of bounds`);
    }
  });
  if (blobBytes(table) > LIMITS.blobSize.value) malformed(`more than ${LIMITS.blobSize.value} bytes`);
}

function encodeHead(table: readonly TensorShape[], bits: number): Uint8Array {
  checkTable(table);
  if (!Number.isInteger(bits) || bits < 1 || bits > 30) malformed(`${bits} fixed-point bits`);
  const head = new Uint8Array(headBytes(table));
  const view = new DataView(head.buffer);
  head.set(MAGIC);
  view.setUint16(8, VERSION, true);
  view.setUint8(10, bits);
  view.setUint32(12, table.length, true);
  let at = FIXED_HEAD_BYTES;
  for (const { name, shape } of table) {
    view.setUint16(at, name.length, true);
    head.set(Buffer.from(name, 'ascii'), at + 2);
    at += 2 + name.length;
    view.setUint8(at++, shape.length);
    for (const size of shape) {
      view.setUint32(at, size, true);
      at += 4;
    }
  }
  return head;
}

/** Reads what `encodeHead` writes. That nothing else is let through is shown by encoding it again. */
function decodeHead(bytes: Uint8Array): { table: TensorShape[]; bits: number; head: number } {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let at = FIXED_HEAD_BYTES;
  const take = (count: number): number => {
    if (count > bytes.length - at) malformed('ends within its table');
    at += count;
    return at - count;
  };
  if (bytes.length < at || !MAGIC.equals(bytes.subarray(0, MAGIC.length))) malformed('does not begin like one');
  const [version, bits, tensors] = [view.getUint16(8, true), view.getUint8(10), view.getUint32(12, true)];
  if (version !== VERSION) malformed(`version ${version}, this program reads ${VERSION}`);
  if (tensors > LIMITS.tensors.value) malformed(`${tensors} tensors`);
  const table: TensorShape[] = [];
  for (let i = 0; i < tensors; i++) {
    const nameBytes = view.getUint16(take(2), true);
    const nameAt = take(nameBytes);
    const name = Buffer.from(bytes.subarray(nameAt, nameAt + nameBytes)).toString('latin1');
    const dimensions = view.getUint8(take(1));
    if (dimensions > LIMITS.dimensions.value) malformed(`tensor ${i}: ${dimensions} dimensions`);
    table.push({ name, shape: Array.from({ length: dimensions }, () => view.getUint32(take(4), true)) });
  }
  const canonical = encodeHead(table, bits);
  if (!Buffer.from(canonical).equals(bytes.subarray(0, canonical.length)))
    malformed('its table is not in canonical form');
  return { table, bits, head: canonical.length };
}

function headBytes(table: readonly TensorShape[]): number {
  const used = table.reduce((total, { name, shape }) => total + 3 + name.length + 4 * shape.length, FIXED_HEAD_BYTES);
  return 4 * Math.ceil(used / 4);
}

function checkValues({ table, values }: FixedPointTensors): void {
  const at = values.indexOf(NOT_A_VALUE);
  if (at === -1) return;
  let end = 0;
  const tensor = table.find((candidate) => (end += valueCount(candidate)) > at);
  throw new PrefmeshError('NOT_FINITE', { tensor: tensor?.name ?? `value ${at}` });
}

function describe(tensor: TensorShape | undefined): string {
  return tensor ? `${tensor.name} [${tensor.shape.join(', ')}]` : 'absent';
}

function malformed(problem: string): never {
  throw new PrefmeshError('MALFORMED_BLOB', { problem });
}
