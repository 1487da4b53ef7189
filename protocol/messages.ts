/**
 * The messages between participants and an aggregator, one closed schema each.
 *
 * A request names its recipient; a reply names its recipient and the request it answers, so an old reply cannot be
 * passed off as a new one; an announcement goes to whoever listens. Things that must stay checkable for ever
 * (manifests, invites, receipts) are documents, without expiry or recipient, and have files of their own.
 */
import { z } from 'zod';
import { bytesSchema } from './envelope.ts';
import { participantIdSchema } from './identity.ts';
import { LIMITS } from './limits.ts';
import { roundNumberSchema, sha256Schema } from './names.ts';

/** Milliseconds since 1970, UTC. */
export const timestampSchema = z.int().min(0);

/** 16 random bytes in hexadecimal. */
export const nonceSchema = z.string().regex(/^[0-9a-f]{32}$/, { error: 'not 16 bytes in hexadecimal' });

/** A code of `errors.ts`, here as text: a peer may be newer and have codes that this node has not. */
export const codeSchema = z
  .string()
  .max(64)
  .regex(/^[A-Z][A-Z0-9_]*$/, { error: 'not an error code' });

/** Which factor of every LoRA pair (the weight change is B·A) a round trains and sends. */
export const factorSchema = z.enum(['A', 'B', 'both']);
export type Factor = z.infer<typeof factorSchema>;

/** Where a round stands; see `round.ts`. */
const phaseSchema = z.enum([
  'open',
  'training',
  'collecting',
  'aggregating',
  'evaluating',
  'published',
  'skipped',
  'finished',
]);
export type Phase = z.infer<typeof phaseSchema>;

/** A number of pairs as it is told to others: 0, or rounded down to a power of two. */
const pairsBucketSchema = z
  .int()
  .min(0)
  .max(LIMITS.pairs.value)
  .refine((pairs) => pairs === pairsBucket(pairs), { error: 'neither 0 nor a power of two' });

/** What every message carries. */
const broadcast = z.strictObject({
  /** The manifest's hash. */
  federation: sha256Schema,
  /** The round that the message is about; 0 where it is about none. */
  round: roundNumberSchema,
  /** Grows with every message of a sender: at least the last one plus 1; `replay.ts` says how it is used. */
  sequence: z.int().min(1),
  nonce: nonceSchema,
  issuedAt: timestampSchema,
  expiresAt: timestampSchema,
});

const request = broadcast.extend({ recipient: participantIdSchema });

/** `request` is the hash of the envelope that is answered. */
const reply = request.extend({ request: sha256Schema });

export const MESSAGES = {
  /** Asks for the federation's manifest, knowing only its hash. Answered by the manifest's own envelope. */
  'manifest-query': request,

  /** Asks to become a member. `round` is 0. Answered by `joined`, or by a refusing `acknowledgement`. */
  join: request.extend({
    /** An invite's envelope, where the manifest asks for one. */
    invite: bytesSchema.nullable(),
    pairsBucket: pairsBucketSchema,
  }),

  /** The sender is a member from now on. `round` is the one that is open or running. */
  joined: reply,

  /** Ends a membership. Answered by `acknowledgement`. */
  leave: request,

  /** Asks where the federation stands. `round` is the last one that the sender knows. */
  'round-query': request,

  /** Where the federation stands: the header's `round`, and what an update for it must be made from. */
  'round-terms': reply.extend({
    phase: phaseSchema,
    factor: factorSchema,
    /** The adapter that the round starts from: a blob's hash. */
    parent: sha256Schema,
    /** Whether the recipient is asked for an update. */
    asked: z.boolean(),
    /** How many members there are: the more, the less often each may ask. */
    members: z.int().min(0).max(LIMITS.participants.value),
    openedAt: timestampSchema,
    /** When updates are no longer taken; null while the round is open. */
    deadline: timestampSchema.nullable(),
    /** Hash of the last receipt; null before the first. */
    receipt: sha256Schema.nullable(),
  }),

  /** Offers an update: the receiver pulls the blob from the sender. Answered by `acknowledgement`. */
  update: request.extend({
    factor: factorSchema,
    parent: sha256Schema,
    blob: sha256Schema,
    bytes: z.int().min(1).max(LIMITS.blobSize.value),
    /** Hash of the blob's tensor table: see `update.ts`. */
    table: sha256Schema,
    pairsBucket: pairsBucketSchema,
  }),

  /** The answer to a request that has no other. An accepted update is on disk before this is signed. */
  acknowledgement: reply.extend({
    verdict: z.enum(['accepted', 'refused']),
    /** Why, when refused; null when accepted. */
    code: codeSchema.nullable(),
  }),

  /** Asks for the receipt of `round`. Answered by the receipt's own envelope, or by a refusing `acknowledgement`. */
  'receipt-query': request,

  /** Told to all by gossip when a round changes phase. */
  announcement: broadcast.extend({
    phase: phaseSchema,
    /** Hash of the receipt of `round`, once there is one. */
    receipt: sha256Schema.nullable(),
  }),
} as const;

export type MessageType = keyof typeof MESSAGES;
export type Payload<Type extends MessageType> = z.infer<(typeof MESSAGES)[Type]>;

/** What every message carries, whatever its type. */
export type MessageHeader = z.infer<typeof broadcast>;

export function isMessageType(type: string): type is MessageType {
  return Object.hasOwn(MESSAGES, type);
}

/** A participant's number of pairs as it is told to others: rounded down to a power of two, because the exact number says more. */
export function pairsBucket(pairs: number): number {
  return pairs < 1 ? 0 : 2 ** Math.floor(Math.log2(pairs));
}
