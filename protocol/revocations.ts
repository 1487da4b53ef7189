/**
 * Revocations: the owner's signed list of the keys that are out of the federation, and of invites that no longer count.
 *
 * A list holds everything that was ever revoked, and each new one has a higher version and all that the one before
 * had: nothing is taken back, so an older list is known for old by its number, and nobody can be let in again by
 * showing one. A person who is to come back comes with another key.
 *
 * A receipt names the list under which its round was closed. So it can be told for ever who was out when, and a round
 * that was closed before a revocation stays right after it.
 */
import { z } from 'zod';
import { openDocument, sealDocument } from './documents.ts';
import type { OpenedDocument } from './documents.ts';
import type { SealedEnvelope } from './envelope.ts';
import { PrefmeshError } from './errors.ts';
import { participantIdSchema } from './identity.ts';
import type { Identity, ParticipantId } from './identity.ts';
import { LIMITS } from './limits.ts';
import type { OpenedManifest } from './manifest.ts';
import { nonceSchema, timestampSchema } from './messages.ts';
import { sha256Schema } from './names.ts';
import type { Sha256 } from './names.ts';
import type { OpenedReceipt, Receipt } from './receipt.ts';

const sorted = { error: 'not sorted, or not distinct' };

export const revocationsSchema = z.strictObject({
  federation: sha256Schema,
  /** 1 for the first list; each new one has a higher number. */
  version: z.int().min(1),
  issuedAt: timestampSchema,
  /** Keys that are out, ascending: as members, as inviters and as witnesses. */
  participants: z.array(participantIdSchema).max(LIMITS.revocations.value).refine(ascends, sorted),
  /** Serials of invites that let nobody in any more, ascending. Who was let in by one before stays. */
  invites: z.array(nonceSchema).max(LIMITS.revocations.value).refine(ascends, sorted),
});

export type Revocations = z.infer<typeof revocationsSchema>;
export type OpenedRevocations = OpenedDocument<Revocations>;

/** Signs a list. Throws MALFORMED when it is out of bounds. */
export function signRevocations(owner: Identity, revocations: Revocations): SealedEnvelope {
  return sealDocument(owner, 'revocations', revocationsSchema, revocations);
}

/**
 * Reads a list and checks that the federation's owner signed it.
 * Throws OVERSIZED, MALFORMED, UNEXPECTED_TYPE, BAD_SIGNATURE, WRONG_FEDERATION, WRONG_OWNER.
 */
export function openRevocations(bytes: Uint8Array, { hash, content: { owner } }: OpenedManifest): OpenedRevocations {
  const opened = openDocument(bytes, 'revocations', revocationsSchema);
  const { federation } = opened.content;
  if (federation !== hash) throw new PrefmeshError('WRONG_FEDERATION', { sender: opened.sender, federation });
  if (opened.sender !== owner) throw new PrefmeshError('WRONG_OWNER', { owner });
  return opened;
}

/**
 * Whether a list may take the place of the one that is known: it is the same, or a later one with everything that
 * the known one has. Throws REVOCATIONS_STALE.
 */
export function checkLater(known: OpenedRevocations | null, next: OpenedRevocations): void {
  if (known === null || known.hash === next.hash) return;
  const { version, participants, invites } = next.content;
  const has = (now: readonly string[], before: readonly string[]) => before.every((each) => now.includes(each));
  const keepsAll = has(participants, known.content.participants) && has(invites, known.content.invites);
  if (version > known.content.version && keepsAll) return;
  throw new PrefmeshError('REVOCATIONS_STALE', { version, known: known.content.version });
}

/** Throws KEY_REVOKED when the list names the key. */
export function checkNotRevoked(participant: ParticipantId, revocations: OpenedRevocations | null): void {
  if (!revocations?.content.participants.includes(participant)) return;
  throw new PrefmeshError('KEY_REVOKED', { participant });
}

/** The witnesses of the manifest whose cosignatures still count. */
export function unrevokedWitnesses(
  { content: { witnesses } }: OpenedManifest,
  revoked: readonly string[],
): ParticipantId[] {
  return witnesses.participants.filter((id) => !revoked.includes(id));
}

export interface RevocationContext {
  readonly federation: OpenedManifest;
  readonly previous: OpenedReceipt | null;
  /** Gives a list by its hash. */
  readonly revocations?: (hash: Sha256) => Uint8Array | undefined;
  /** The newest list that the verifier has of its own, from wherever. */
  readonly newest?: OpenedRevocations | null;
}

/**
 * Whether a receipt's round was closed under the right list: not an older one than the round before, none of whose
 * keys is asked for an update; of its own keys none counts, and no other is refused as one of them; and not an older
 * one than the verifier's own, once the aggregator has had the time to get that.
 *
 * @throws REVOCATIONS_MISSING, REVOCATIONS_STALE, REVOKED_COUNTED, REVOCATIONS_IGNORED; RECEIPT_TERMS where an update
 *   is refused as a revoked key's that is none; and what `openRevocations` throws
 */
export function checkRevoked(receipt: Receipt, context: RevocationContext): void {
  const { round } = receipt;
  const before = listOf(context.previous?.content ?? null, context);
  const under = listOf(receipt, context);
  if (before !== null && under === null) {
    throw new PrefmeshError('REVOCATIONS_STALE', { version: 0, known: before.content.version });
  }
  if (under !== null) checkLater(before, under);
  const pretended = receipt.updates.find(({ code, sender }) => {
    return code === 'KEY_REVOKED' && !under?.content.participants.includes(sender);
  });
  if (pretended) throw new PrefmeshError('RECEIPT_TERMS', { problem: `${pretended.sender} was not revoked` });
  const counted = receipt.updates.filter(({ verdict }) => verdict === 'accepted').map(({ sender }) => sender);
  const sender =
    counted.find((id) => under?.content.participants.includes(id)) ??
    receipt.cohort.find((id) => before?.content.participants.includes(id));
  if (sender !== undefined) throw new PrefmeshError('REVOKED_COUNTED', { round, sender });
  const { newest } = context;
  if (!newest || newest.content.version <= (under?.content.version ?? 0)) return;
  if (receipt.startedAt <= newest.content.issuedAt + LIMITS.revocationGrace.value) return;
  throw new PrefmeshError('REVOCATIONS_IGNORED', { round, version: newest.content.version });
}

/** The list that a receipt names; null where it names none. */
function listOf(
  receipt: Receipt | null,
  { federation, revocations }: Pick<RevocationContext, 'federation' | 'revocations'>,
): OpenedRevocations | null {
  const hash = receipt?.revocations ?? null;
  if (receipt === null || hash === null) return null;
  const bytes = revocations?.(hash);
  const opened = bytes && openRevocations(bytes, federation);
  if (opened?.hash !== hash) throw new PrefmeshError('REVOCATIONS_MISSING', { round: receipt.round, hash });
  return opened;
}

function ascends(items: readonly string[]): boolean {
  return items.every((item, index) => index === 0 || items[index - 1]! < item);
}
