/**
 * Sealing a message for the wire, and opening one that came from it.
 *
 * `openEnvelope` is the whole of what stands between a stranger's bytes and the rest of the program. Its steps go
 * from cheap to dear, so that rubbish costs little, and each refusal has its own code.
 */
import type { z } from 'zod';
import { decode, encodeAs } from './codec.ts';
import { checkSignature, decodeEnvelope, sealEnvelope } from './envelope.ts';
import type { SealedEnvelope } from './envelope.ts';
import { PrefmeshError } from './errors.ts';
import type { Identity, ParticipantId } from './identity.ts';
import { LIMITS } from './limits.ts';
import { isMessageType, MESSAGES } from './messages.ts';
import type { MessageHeader, MessageType, Payload } from './messages.ts';
import type { RoundNumber, Sha256 } from './names.ts';
import type { ReplayTable } from './replay.ts';

/** A message that passed every check of `openEnvelope`; a union over `type`. */
export type OpenedMessage<Type extends MessageType = MessageType> = {
  [T in Type]: {
    readonly type: T;
    readonly sender: ParticipantId;
    readonly payload: Payload<T>;
    /** The envelope's name: what replies and receipts call it by. */
    readonly hash: Sha256;
    /** The envelope as it came. */
    readonly bytes: Uint8Array;
  };
}[Type];

/** What a receiver is ready to hear. */
export interface Expectations<Type extends MessageType> {
  readonly types: readonly Type[];
  readonly federation: Sha256;
  /** The receiver: messages that name another recipient are refused. */
  readonly recipient: ParticipantId;
  /** Whether this sender may say this: members, aggregators, or, for `join`, whoever could be let in. */
  readonly isMember: (sender: ParticipantId, type: Type) => boolean;
  /** For replies: the request that must be answered. */
  readonly request?: Sha256;
  /** The one round that the message may be about, where only one will do. */
  readonly round?: RoundNumber;
}

/**
 * Checks a message and returns what it says.
 *
 * In this order: length (OVERSIZED), decoding (MALFORMED, UNEXPECTED_TYPE), addressee (WRONG_FEDERATION,
 * WRONG_RECIPIENT, WRONG_REQUEST), membership (NOT_ADMITTED), round (WRONG_ROUND), time (EXPIRED, NOT_YET_VALID),
 * replay table (REPLAYED), signature (BAD_SIGNATURE). The hash of a blob that the message names is checked when the
 * blob has come: `checkBlob` in `update.ts`.
 *
 * @param now milliseconds since 1970
 * @param replay asked before the signature is checked, told after
 */
export function openEnvelope<Type extends MessageType>(
  bytes: Uint8Array,
  expected: Expectations<Type>,
  now: number,
  replay: ReplayTable,
): OpenedMessage<Type> {
  const envelope = decodeEnvelope(bytes, LIMITS.message.value);
  const { type, sender } = envelope;
  if (!isMessageType(type) || !isOneOf(expected.types, type)) {
    throw new PrefmeshError('UNEXPECTED_TYPE', { expected: expected.types.join(' or '), sender });
  }
  const schema: z.ZodType<Payload<MessageType>> = MESSAGES[type];
  const payload = decode(envelope.payload, schema, {
    what: `${type} message`,
    maxBytes: LIMITS.message.value,
  });
  checkAddressee(payload, expected, sender);
  if (!expected.isMember(sender, type)) throw new PrefmeshError('NOT_ADMITTED', { sender });
  if (expected.round !== undefined && payload.round !== expected.round) {
    throw new PrefmeshError('WRONG_ROUND', { sender, round: payload.round, expected: expected.round });
  }
  checkTimes(payload, sender, now);
  if (replay.seen(sender, payload.sequence)) {
    throw new PrefmeshError('REPLAYED', { sender, sequence: payload.sequence });
  }
  const hash = checkSignature(envelope);
  replay.record(sender, payload.sequence);
  return { type, sender, payload, hash, bytes } as OpenedMessage<Type>;
}

/** Signs a message. Throws MALFORMED when the payload is not of its type, so a fault shows at its source. */
export function sealMessage<Type extends MessageType>(
  identity: Identity,
  type: Type,
  payload: Payload<Type>,
): SealedEnvelope {
  const bytes = encodeAs(payload, MESSAGES[type], { what: `own ${type} message`, maxBytes: LIMITS.message.value });
  return sealEnvelope(identity, type, bytes);
}

function isOneOf<Type extends MessageType>(types: readonly Type[], type: MessageType): type is Type {
  return (types as readonly MessageType[]).includes(type);
}

function checkAddressee(
  payload: MessageHeader & { recipient?: ParticipantId; request?: Sha256 },
  expected: Pick<Expectations<MessageType>, 'federation' | 'recipient' | 'request'>,
  sender: ParticipantId,
): void {
  if (payload.federation !== expected.federation) {
    throw new PrefmeshError('WRONG_FEDERATION', { sender, federation: payload.federation });
  }
  if (payload.recipient !== undefined && payload.recipient !== expected.recipient) {
    throw new PrefmeshError('WRONG_RECIPIENT', { sender, recipient: payload.recipient });
  }
  if (payload.request !== expected.request) throw new PrefmeshError('WRONG_REQUEST', { sender });
}

/** A peer's clock may be off by `clockTolerance`; a message may not ask to be remembered for longer than a lifetime. */
function checkTimes(payload: MessageHeader, sender: ParticipantId, now: number): void {
  const tolerance = LIMITS.clockTolerance.value;
  const lifetime = payload.expiresAt - payload.issuedAt;
  if (lifetime <= 0 || lifetime > LIMITS.messageLifetime.value) {
    throw new PrefmeshError('MALFORMED', { what: 'message', problem: `expiresAt: ${lifetime} ms after issuedAt` });
  }
  if (now > payload.expiresAt + tolerance) {
    throw new PrefmeshError('EXPIRED', { sender, late: now - payload.expiresAt });
  }
  if (now < payload.issuedAt - tolerance) {
    throw new PrefmeshError('NOT_YET_VALID', { sender, early: payload.issuedAt - now });
  }
}
