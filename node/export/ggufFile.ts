/**
 * Writing GGUF, the one-file format of llama.cpp: a header of typed keys and a table of tensors, then their bytes,
 * each aligned to 32. Version 3, little-endian. Source: the format's description in ggml (`docs/gguf.md`, `gguf.h`).
 *
 * Tensors are read one at a time while the file is written, so a model larger than the memory can be written.
 */
import { basename, dirname } from 'node:path';
import { TemporaryFile } from '../storage/atomicFile.ts';
import type { TensorDtype } from '../model/safetensors.ts';
import { tensorBytes } from '../model/tensorBytes.ts';

/** A value of the header. Its kind matters: readers ask for a key by name and kind, and refuse another. */
export type GgufValue =
  | { readonly kind: 'uint32' | 'float32'; readonly value: number }
  | { readonly kind: 'bool'; readonly value: boolean }
  | { readonly kind: 'string'; readonly value: string }
  | { readonly kind: 'strings'; readonly value: readonly string[] }
  | { readonly kind: 'int32s' | 'float32s'; readonly value: readonly number[] };

export type GgufMetadata = Readonly<Record<string, GgufValue>>;

/** A tensor to be written, row-major; `shape` has the outermost side first, as in Hugging Face. */
export interface GgufTensor {
  readonly name: string;
  readonly shape: readonly number[];
  readonly dtype: TensorDtype;
  /** The values, read when their turn comes. */
  readonly read: () => Float32Array;
}

export interface WriteGgufOptions {
  readonly signal?: AbortSignal | undefined;
  /** Called after each tensor with how many are written. */
  readonly onWritten?: (tensors: number) => void;
}

const MAGIC = 'GGUF';
const VERSION = 3;
const ALIGNMENT = 32;
const TENSOR_TYPES: Readonly<Record<TensorDtype, number>> = { F32: 0, F16: 1, BF16: 30 };
const VALUE_TYPES = { uint32: 4, int32: 5, float32: 6, bool: 7, string: 8, array: 9 } as const;
const BYTES_PER_ELEMENT: Readonly<Record<TensorDtype, number>> = { F32: 4, F16: 2, BF16: 2 };

/** `general.file_type`: what most tensors are. */
export const FILE_TYPES: Readonly<Record<TensorDtype, number>> = { F32: 0, F16: 1, BF16: 32 };

/**
 * Writes a GGUF file, whole or not at all.
 *
 * @throws EXPORT_RANGE for a value that a tensor's dtype cannot hold; DISK_FULL, STORAGE_FAILED
 */
export async function writeGguf(
  file: string,
  metadata: GgufMetadata,
  tensors: readonly GgufTensor[],
  { signal, onWritten }: WriteGgufOptions = {},
): Promise<void> {
  const draft = await TemporaryFile.create(dirname(file), basename(file), 0o644);
  try {
    await draft.write(header(metadata, tensors));
    for (const [index, { name, dtype, read }] of tensors.entries()) {
      signal?.throwIfAborted();
      const bytes = tensorBytes(name, read(), dtype);
      await draft.write(bytes);
      await draft.write(Buffer.alloc(aligned(bytes.length) - bytes.length));
      onWritten?.(index + 1);
    }
    await draft.publish(file);
  } catch (error) {
    await draft.discard();
    throw error;
  }
}

/** Bytes of a tensor in its file. */
export function ggufTensorSize({ shape, dtype }: Pick<GgufTensor, 'shape' | 'dtype'>): number {
  return shape.reduce((product, side) => product * side, BYTES_PER_ELEMENT[dtype]);
}

/** Everything before the first tensor's bytes, padded to the alignment. */
function header(metadata: GgufMetadata, tensors: readonly GgufTensor[]): Buffer {
  const parts: Buffer[] = [Buffer.from(MAGIC), uint32(VERSION), uint64(tensors.length)];
  const entries = Object.entries(metadata);
  parts.push(uint64(entries.length));
  for (const [key, value] of entries) parts.push(text(key), encoded(value));
  let offset = 0;
  for (const tensor of tensors) {
    const { name, shape, dtype } = tensor;
    parts.push(text(name), uint32(shape.length));
    // ggml counts sides from the innermost.
    for (const side of shape.toReversed()) parts.push(uint64(side));
    parts.push(uint32(TENSOR_TYPES[dtype]), uint64(offset));
    offset += aligned(ggufTensorSize(tensor));
  }
  const whole = Buffer.concat(parts);
  return Buffer.concat([whole, Buffer.alloc(aligned(whole.length) - whole.length)]);
}

function encoded(value: GgufValue): Buffer {
  switch (value.kind) {
    case 'uint32':
      return Buffer.concat([uint32(VALUE_TYPES.uint32), uint32(value.value)]);
    case 'float32':
      return Buffer.concat([uint32(VALUE_TYPES.float32), numbers(Float32Array.of(value.value))]);
    case 'bool':
      return Buffer.concat([uint32(VALUE_TYPES.bool), Buffer.from([value.value ? 1 : 0])]);
    case 'string':
      return Buffer.concat([uint32(VALUE_TYPES.string), text(value.value)]);
    case 'strings':
      return Buffer.concat([arrayHead('string', value.value.length), ...value.value.map(text)]);
    case 'int32s':
      return Buffer.concat([arrayHead('int32', value.value.length), numbers(Int32Array.from(value.value))]);
    case 'float32s':
      return Buffer.concat([arrayHead('float32', value.value.length), numbers(Float32Array.from(value.value))]);
  }
}

function arrayHead(of: keyof typeof VALUE_TYPES, length: number): Buffer {
  return Buffer.concat([uint32(VALUE_TYPES.array), uint32(VALUE_TYPES[of]), uint64(length)]);
}

function text(value: string): Buffer {
  const bytes = Buffer.from(value);
  return Buffer.concat([uint64(bytes.length), bytes]);
}

function uint32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(value);
  return bytes;
}

function uint64(value: number): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64LE(BigInt(value));
  return bytes;
}

function numbers(view: Int32Array | Float32Array): Buffer {
  return Buffer.from(view.buffer, view.byteOffset, view.byteLength);
}

function aligned(bytes: number): number {
  return Math.ceil(bytes / ALIGNMENT) * ALIGNMENT;
}
