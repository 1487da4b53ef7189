/**
 * The federation protocol: one request and one reply a stream, both signed envelopes whose content this layer does
 * not read.
 *
 *   message {envelope}      ->  reply {envelope}  or refused {code}
 *   manifest {federation}   ->  reply {envelope}  or refused {code}
 *
 * A frame is a varint length and MessagePack. The manifest may be asked for by anyone who knows the federation's id,
 * which is its hash: it is what a newcomer reads before there is anything to sign.
 */
import { z } from 'zod';
import { bytesSchema } from '../../../protocol/envelope.ts';
import { LIMITS } from '../../../protocol/limits.ts';
import { sha256Schema } from '../../../protocol/names.ts';
import { refusalSchema } from '../refusal.ts';

export const FEDERATION_PROTOCOL = '/prefmesh/federation/1.0.0';

/** Bytes around the envelope: field names and lengths. */
const FRAME_OVERHEAD = 64;

/** Requests are messages; replies may be documents (a manifest, a receipt), which are longer. */
export const REQUEST_BYTES = LIMITS.message.value + FRAME_OVERHEAD;
export const REPLY_BYTES = Math.max(LIMITS.message.value, LIMITS.document.value) + FRAME_OVERHEAD;

export const requestSchema = z.discriminatedUnion('t', [
  z.strictObject({ t: z.literal('message'), envelope: bytesSchema }),
  z.strictObject({ t: z.literal('manifest'), federation: sha256Schema }),
]);
export type FederationRequest = z.infer<typeof requestSchema>;

export const replySchema = z.discriminatedUnion('t', [
  z.strictObject({ t: z.literal('reply'), envelope: bytesSchema }),
  refusalSchema,
]);
