/**
 * The federation protocol: one request and one reply a stream, both signed envelopes whose content this layer does
 * not read.
 *
 *   message {envelope}             ->  reply {envelope}
 *   manifest {federation}          ->  reply {envelope}
 *   evidence {federation, round}   ->  evidence {envelopes}         the update messages that a receipt lists
 *   log {federation, size}         ->  log {checkpoint, proof}      how long the log is, and that it goes on from `size`
 *   cosign {federation, checkpoint} -> log {checkpoint, proof}      takes a witness's line for the log's own checkpoint
 *   revocations {federation, list} ->  reply {envelope}             a list of revocations by its hash, or the newest
 *   revoke {federation, envelope}  ->  reply {envelope}             takes a newer list; the newest one there
 *   guests {federation}            ->  guests {guests}              who was let in by which invite
 *
 * each or refused {code}. A frame is a varint length and MessagePack. All but the first and the last may be asked for by
 * anyone who knows the federation's id, which is its manifest's hash: what comes back is checked by signatures and hashes.
 */
import { z } from 'zod';
import { bytesSchema } from '../../../protocol/envelope.ts';
import { participantIdSchema } from '../../../protocol/identity.ts';
import { LIMITS } from '../../../protocol/limits.ts';
import { nonceSchema } from '../../../protocol/messages.ts';
import { roundNumberSchema, sha256Schema } from '../../../protocol/names.ts';
import { refusalSchema } from '../refusal.ts';

export const FEDERATION_PROTOCOL = '/prefmesh/federation/1.0.0';

/** Bytes around the envelope: field names and lengths. */
const FRAME_OVERHEAD = 64;

/** Hashes of a consistency proof: at most two for each doubling of the log. */
const LONGEST_PROOF = 64;
const hashBytes = bytesSchema.refine((bytes) => bytes.length === 32, { error: 'not 32 bytes' });

/** Requests are messages; replies may be documents (a manifest, a receipt), which are longer. */
export const REQUEST_BYTES = LIMITS.message.value + FRAME_OVERHEAD;
export const REPLY_BYTES = Math.max(LIMITS.message.value, LIMITS.document.value) + FRAME_OVERHEAD;

export const requestSchema = z.discriminatedUnion('t', [
  z.strictObject({ t: z.literal('message'), envelope: bytesSchema }),
  z.strictObject({ t: z.literal('manifest'), federation: sha256Schema }),
  z.strictObject({ t: z.literal('evidence'), federation: sha256Schema, round: roundNumberSchema }),
  z.strictObject({ t: z.literal('log'), federation: sha256Schema, size: z.int().min(0).max(LIMITS.rounds.value) }),
  z.strictObject({
    t: z.literal('cosign'),
    federation: sha256Schema,
    checkpoint: z.string().max(LIMITS.checkpoint.value),
  }),
  z.strictObject({ t: z.literal('revocations'), federation: sha256Schema, list: sha256Schema.nullable() }),
  z.strictObject({ t: z.literal('revoke'), federation: sha256Schema, envelope: bytesSchema }),
  z.strictObject({ t: z.literal('guests'), federation: sha256Schema }),
]);
export type FederationRequest = z.infer<typeof requestSchema>;

export const replySchema = z.discriminatedUnion('t', [
  z.strictObject({ t: z.literal('reply'), envelope: bytesSchema }),
  z.strictObject({ t: z.literal('evidence'), envelopes: z.array(bytesSchema).max(LIMITS.participants.value) }),
  z.strictObject({
    t: z.literal('log'),
    checkpoint: z.string().max(LIMITS.checkpoint.value),
    proof: z.array(hashBytes).max(LONGEST_PROOF),
  }),
  z.strictObject({
    t: z.literal('guests'),
    guests: z
      .array(z.strictObject({ serial: nonceSchema, participant: participantIdSchema, inviter: participantIdSchema }))
      .max(LIMITS.guests.value),
  }),
  refusalSchema,
]);
export type FederationReply = z.infer<typeof replySchema>;
