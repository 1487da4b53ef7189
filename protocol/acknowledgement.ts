/**
 * An acknowledged update as a proof for others: the message that offered it, as its sender signed it, and the answer
 * that an aggregator signed.
 *
 * An aggregator acknowledges an update once it has checked it and has it on disk; from then on the update has to be in
 * its round's receipt. Whoever holds both signatures can show anybody that it is not there, with the manifest and the
 * log and without being believed. What it shows is a broken promise: not why it was broken.
 */
import { z } from 'zod';
import { decode, encode } from './codec.ts';
import { bytesSchema, checkSignature, decodeEnvelope, envelopeHash } from './envelope.ts';
import { PrefmeshError } from './errors.ts';
import type { ParticipantId } from './identity.ts';
import { LIMITS } from './limits.ts';
import type { OpenedManifest } from './manifest.ts';
import { MESSAGES } from './messages.ts';
import type { MessageHeader, Payload } from './messages.ts';
import type { RoundNumber, Sha256 } from './names.ts';
import { updateOf } from './receipt.ts';
import type { Receipt } from './receipt.ts';

export interface AcknowledgedUpdate {
  readonly sender: ParticipantId;
  readonly aggregator: ParticipantId;
  readonly round: RoundNumber;
  readonly blob: Sha256;
  /** Hash of the message that offered it. */
  readonly envelope: Sha256;
  /** Why the aggregator refused it; null where it said that it is accepted. */
  readonly refused: string | null;
}

const proofSchema = z.strictObject({ update: bytesSchema, acknowledgement: bytesSchema });

const MESSAGE_BYTES = LIMITS.message.value;

/** Two messages, and what holds them together. */
export const ACKNOWLEDGED_BYTES = 2 * MESSAGE_BYTES + 64;

/** Puts the two envelopes, as they travelled, into one file. */
export function packAcknowledged(update: Uint8Array, acknowledgement: Uint8Array): Uint8Array {
  return encode({ update, acknowledgement });
}

/**
 * Reads and checks a proof: both signatures, and that the answer is to just this update of this federation. It counts
 * for ever: the lifetimes of the two messages say when they were to be delivered, not when they stop being true.
 *
 * @throws OVERSIZED, MALFORMED, UNEXPECTED_TYPE, WRONG_FEDERATION, WRONG_AGGREGATOR, WRONG_RECIPIENT, WRONG_REQUEST,
 *   BAD_SIGNATURE
 */
export function openAcknowledged(bytes: Uint8Array, federation: OpenedManifest): AcknowledgedUpdate {
  const parts = decode(bytes, proofSchema, { what: 'acknowledged update', maxBytes: ACKNOWLEDGED_BYTES });
  const update = openPart(parts.update, 'update', federation);
  const answer = openPart(parts.acknowledgement, 'acknowledgement', federation);
  const { sender, hash, payload: offer } = update;
  const { sender: aggregator, payload: said } = answer;
  if (!federation.content.aggregators.some(({ id }) => id === aggregator)) {
    throw new PrefmeshError('WRONG_AGGREGATOR', { sender: aggregator });
  }
  if (said.recipient !== sender) {
    throw new PrefmeshError('WRONG_RECIPIENT', { sender: aggregator, recipient: said.recipient });
  }
  if (said.request !== hash) throw new PrefmeshError('WRONG_REQUEST', { sender: aggregator });
  const refused = said.verdict === 'accepted' ? null : (said.code ?? 'UNEXPECTED');
  return { sender, aggregator, round: offer.round, blob: offer.blob, envelope: hash, refused };
}

/**
 * Throws NOT_INCLUDED unless the receipt of its round lists the acknowledged update as accepted. The message may be
 * another one that offered the same bytes: offered twice, an update is acknowledged twice and listed once.
 */
export function checkAcknowledged({ sender, round, blob, refused }: AcknowledgedUpdate, receipt: Receipt): void {
  if (refused !== null) return;
  const entry = updateOf(receipt, sender);
  // A key that the owner revoked before the round was closed is promised nothing; that it was, the receipt's check says.
  if (entry?.code === 'KEY_REVOKED') return;
  if (entry?.verdict !== 'accepted' || entry.blob !== blob) throw new PrefmeshError('NOT_INCLUDED', { round, sender });
}

type Part = 'update' | 'acknowledgement';

function openPart<Type extends Part>(
  bytes: Uint8Array,
  type: Type,
  federation: OpenedManifest,
): { readonly sender: ParticipantId; readonly payload: Payload<Type>; readonly hash: Sha256 } {
  const envelope = decodeEnvelope(bytes, MESSAGE_BYTES);
  const { sender } = envelope;
  if (envelope.type !== type) throw new PrefmeshError('UNEXPECTED_TYPE', { expected: type, sender });
  const schema: z.ZodType<Payload<Part>> = MESSAGES[type];
  const payload = decode(envelope.payload, schema, { what: `${type} message`, maxBytes: MESSAGE_BYTES });
  const { federation: named }: MessageHeader = payload;
  if (named !== federation.hash) throw new PrefmeshError('WRONG_FEDERATION', { sender, federation: named });
  checkSignature(envelope);
  return { sender, payload: payload as Payload<Type>, hash: envelopeHash(envelope) };
}
