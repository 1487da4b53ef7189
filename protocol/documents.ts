/**
 * Documents: signed things that stay checkable for as long as anybody keeps them (manifests, invites, receipts).
 * Like messages they travel in envelopes; unlike messages they have no recipient, no expiry of the envelope, and no
 * sequence, so they may be passed on by anyone and read again at any time.
 */
import type { z } from 'zod';
import { decode, encode } from './codec.ts';
import type { WireValue } from './codec.ts';
import { checkSignature, decodeEnvelope, envelopeHash, sealEnvelope } from './envelope.ts';
import type { SealedEnvelope } from './envelope.ts';
import { PrefmeshError } from './errors.ts';
import type { Identity, ParticipantId } from './identity.ts';
import { LIMITS } from './limits.ts';
import type { Sha256 } from './names.ts';

export interface OpenedDocument<Content> {
  readonly content: Content;
  readonly sender: ParticipantId;
  /** The document's name. */
  readonly hash: Sha256;
  /** The envelope as it came: what is stored and passed on. */
  readonly bytes: Uint8Array;
}

/** Signs a document. Throws MALFORMED when the content does not fit its schema. */
export function sealDocument(identity: Identity, type: string, schema: z.ZodType, content: WireValue): SealedEnvelope {
  const payload = encode(content);
  decode(payload, schema, { what: `own ${type}`, maxBytes: LIMITS.document.value });
  return sealEnvelope(identity, type, payload);
}

/** Length, decoding, type, signature. Throws OVERSIZED, MALFORMED, UNEXPECTED_TYPE, BAD_SIGNATURE. */
export function openDocument<Schema extends z.ZodType>(
  bytes: Uint8Array,
  type: string,
  schema: Schema,
): OpenedDocument<z.output<Schema>> {
  const envelope = decodeEnvelope(bytes, LIMITS.document.value);
  if (envelope.type !== type) {
    throw new PrefmeshError('UNEXPECTED_TYPE', { expected: type, sender: envelope.sender });
  }
  const content = decode(envelope.payload, schema, { what: type, maxBytes: LIMITS.document.value });
  checkSignature(envelope);
  return { content, sender: envelope.sender, hash: envelopeHash(envelope), bytes };
}
