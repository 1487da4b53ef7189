/**
 * The signed envelope: everything that matters travels in one.
 *
 * The signature covers a length-prefixed concatenation in the shape of libp2p's RFC 0002,
 *
 *   uvarint(len) ‖ "prefmesh/<type>/v1"   uvarint(len) ‖ sender   uvarint(len) ‖ payload
 *
 * so a signature for one type, sender or payload fits no other. The payload is the bytes as sent: nothing is encoded
 * again before it is checked or hashed. An envelope's name is the SHA-256 of those signed bytes, without the
 * signature, because an Ed25519 signature is not the only one that a signer can make for a message.
 */
import { z } from 'zod';
import { decode, encode } from './codec.ts';
import { PrefmeshError } from './errors.ts';
import { participantIdSchema, sign, SIGNATURE_BYTES, verify } from './identity.ts';
import type { Identity, ParticipantId } from './identity.ts';
import { LIMITS } from './limits.ts';
import { sha256 } from './names.ts';
import type { Sha256 } from './names.ts';

export interface Envelope {
  readonly type: string;
  readonly sender: ParticipantId;
  readonly payload: Uint8Array;
  readonly signature: Uint8Array;
}

/** An envelope as it travels, with the name it goes by. */
export interface SealedEnvelope {
  readonly bytes: Uint8Array;
  readonly hash: Sha256;
}

export const bytesSchema = z.custom<Uint8Array>((value) => value instanceof Uint8Array, { error: 'not binary' });

const envelopeSchema = z.strictObject({
  type: z.string().min(1).max(LIMITS.typeName.value),
  sender: participantIdSchema,
  payload: bytesSchema,
  signature: bytesSchema.refine((bytes) => bytes.length === SIGNATURE_BYTES, { error: 'not 64 bytes' }),
});

/** Signs a payload. The payload's bytes are final: they are what receivers check and hash. */
export function sealEnvelope(identity: Identity, type: string, payload: Uint8Array): SealedEnvelope {
  const signed = signedBytes(type, identity.id, payload);
  const signature = sign(identity, signed);
  return { bytes: encode({ type, sender: identity.id, payload, signature }), hash: sha256(signed) };
}

/** Reads an envelope's four fields. The signature is not checked here. Throws OVERSIZED, MALFORMED. */
export function decodeEnvelope(bytes: Uint8Array, maxBytes: number): Envelope {
  return decode(bytes, envelopeSchema, { what: 'envelope', maxBytes });
}

/** The envelope's name. */
export function envelopeHash(envelope: Envelope): Sha256 {
  return sha256(signedBytes(envelope.type, envelope.sender, envelope.payload));
}

/** The envelope's name. Throws BAD_SIGNATURE unless the sender that it names has signed exactly this type and payload. */
export function checkSignature(envelope: Envelope): Sha256 {
  const signed = signedBytes(envelope.type, envelope.sender, envelope.payload);
  if (!verify(envelope.sender, signed, envelope.signature)) {
    throw new PrefmeshError('BAD_SIGNATURE', { what: envelope.type, sender: envelope.sender });
  }
  return sha256(signed);
}

/** What a signature covers. */
function signedBytes(type: string, sender: ParticipantId, payload: Uint8Array): Uint8Array {
  return lengthPrefixed(Buffer.from(`prefmesh/${type}/v1`), Buffer.from(sender), payload);
}

/** Each part after its length as an unsigned LEB128 varint, so that no two lists of parts give the same bytes. */
export function lengthPrefixed(...parts: Uint8Array[]): Uint8Array {
  return new Uint8Array(Buffer.concat(parts.flatMap((part) => [uvarint(part.length), part])));
}

/** An unsigned LEB128 varint. */
export function uvarint(value: number): Uint8Array {
  const bytes: number[] = [];
  let rest = value;
  for (; rest >= 0x80; rest = Math.floor(rest / 0x80)) bytes.push((rest % 0x80) | 0x80);
  bytes.push(rest);
  return Uint8Array.from(bytes);
}
