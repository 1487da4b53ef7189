/**
 * The blob protocol: whoever wants a blob pulls it, one numbered chunk at a time.
 *
 *   head {id}        ->  head {size}     or refused {code}
 *   get {id, chunk}  ->  chunk {chunk, bytes}  or refused {code}
 *   done             ->  (the stream ends)
 *
 * A frame is a varint length and MessagePack. Chunk n holds the bytes from n · 1 MiB on; all are full but the last.
 * Requests may be sent ahead; answers come in their order. The id is the SHA-256 of the whole, so any peer that has
 * the blob can serve it, and what a liar sends is found out at the end.
 */
import { z } from 'zod';
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

/** Number of chunks of a blob of `size` bytes. */
export function chunkCount(size: number): number {
  return Math.ceil(size / LIMITS.blobChunk.value);
}

/** Bytes of chunk `chunk` of a blob of `size` bytes. */
export function chunkLength(size: number, chunk: number): number {
  return Math.min(LIMITS.blobChunk.value, size - chunk * LIMITS.blobChunk.value);
}
