/**
 * The blob protocol: whoever wants a blob pulls it, one numbered chunk at a time.
 *
 *   head {id}        ->  head {size}     or refused {code}
 *   get {id, chunk}  ->  chunk {chunk, bytes}  or refused {code}
 *   done             ->  (the stream ends)
 *
 * A frame is a varint length and MessagePack. Chunk n holds the bytes from n · 256 KiB on; all are full but the last.
 * Requests may be sent ahead; answers come in their order. The id is the SHA-256 of the whole, so any peer that has
 * the blob can serve it, and what a liar sends is found out at the end.
 */
import { z } from 'zod';
import { encode } from '../../../protocol/codec.ts';
import { LIMITS } from '../../../protocol/limits.ts';
import { bytesSchema } from '../../../protocol/envelope.ts';
import { sha256Schema } from '../../../protocol/names.ts';
import { refusalSchema } from '../refusal.ts';

export const BLOB_PROTOCOL = '/prefmesh/blob/1.0.0';

/** Bytes around the payload of a frame: field names, numbers, lengths. */
const FRAME_OVERHEAD = 128;

export const BLOB_REQUEST_BYTES = 4 * 1024;
export const BLOB_REPLY_BYTES = LIMITS.blobChunk.value + FRAME_OVERHEAD;

const chunkNumber = z
  .int()
  .min(0)
  .max(Math.ceil(LIMITS.blobSize.value / LIMITS.blobChunk.value));

export const blobRequestSchema = z.discriminatedUnion('t', [
  z.strictObject({ t: z.literal('head'), id: sha256Schema }),
  z.strictObject({ t: z.literal('get'), id: sha256Schema, chunk: chunkNumber }),
  z.strictObject({ t: z.literal('done') }),
]);
export type BlobRequest = z.infer<typeof blobRequestSchema>;

export const blobHeadSchema = z.discriminatedUnion('t', [
  z.strictObject({ t: z.literal('head'), size: z.int().min(0) }),
  refusalSchema,
]);

export const blobChunkSchema = z.discriminatedUnion('t', [
  z.strictObject({ t: z.literal('chunk'), chunk: chunkNumber, bytes: bytesSchema }),
  refusalSchema,
]);

/** The frame's content for a chunk: what `encode` gives for the message, without a copy of the bytes. */
export function encodeChunk(chunk: number, bytes: Uint8Array): Uint8Array[] {
  const empty = encode({ t: 'chunk', chunk, bytes: new Uint8Array(0) });
  return [empty.subarray(0, -EMPTY_BINARY_BYTES), binaryHeader(bytes.length), bytes];
}

const EMPTY_BINARY_BYTES = 2;

/** How MessagePack announces so many bytes: bin 8, bin 16 or bin 32. */
function binaryHeader(length: number): Uint8Array {
  if (length < 2 ** 8) return Uint8Array.of(0xc4, length);
  if (length < 2 ** 16) return Uint8Array.of(0xc5, length >> 8, length & 0xff);
  const header = Buffer.from([0xc6, 0, 0, 0, 0]);
  header.writeUInt32BE(length, 1);
  return header;
}

/** Number of chunks of a blob of `size` bytes. */
export function chunkCount(size: number): number {
  return Math.ceil(size / LIMITS.blobChunk.value);
}

/** Bytes of chunk `chunk` of a blob of `size` bytes. */
export function chunkLength(size: number, chunk: number): number {
  return Math.min(LIMITS.blobChunk.value, size - chunk * LIMITS.blobChunk.value);
}
