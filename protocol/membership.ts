/**
 * Who may become a member. Pure: the aggregator keeps who used which invite, this says what follows from it.
 *
 * Whoever invites answers for its guests: those it has brought in, with those that these have brought in, are never
 * more than the manifest says. So a stranger who was let in can bring that many keys of its own into a round, and not
 * one more, however they invite each other.
 */
import { PrefmeshError } from './errors.ts';
import type { ParticipantId } from './identity.ts';
import { openInvite } from './invite.ts';
import type { OpenedInvite } from './invite.ts';
import type { OpenedManifest } from './manifest.ts';
import { checkNotRevoked } from './revocations.ts';
import type { OpenedRevocations } from './revocations.ts';

export interface JoinRequest {
  readonly sender: ParticipantId;
  readonly invite: Uint8Array | null;
  readonly pairsBucket: number;
}

export interface JoinContext {
  readonly federation: OpenedManifest;
  /** Milliseconds since 1970. */
  readonly now: number;
  /** The owner's newest list; null while there is none. */
  readonly revocations: OpenedRevocations | null;
  readonly members: readonly ParticipantId[];
  /** The key that an invite's serial is bound to, if it was used. */
  readonly usedBy: (serial: string) => ParticipantId | undefined;
  /** Whose guest a key is, for ever: who signed the first invite that it used. */
  readonly inviterOf: (guest: ParticipantId) => ParticipantId | undefined;
}

/**
 * Checks a request to join. Returns the invite to remember as used by the sender, or null where there is none to
 * remember. A guest that shows its own invite again is let in again, also when it has expired since.
 * Throws KEY_REVOKED, NOT_ADMITTED, TOO_FEW_PAIRS, INVITE_MISSING, INVITE_USED, INVITE_EXPIRED, INVITE_REVOKED,
 * INVITER_FULL, and what `openInvite` throws.
 */
export function checkJoin({ sender, invite, pairsBucket }: JoinRequest, context: JoinContext): OpenedInvite | null {
  const { admission, privacy } = context.federation.content;
  checkNotRevoked(sender, context.revocations);
  checkPairs(pairsBucket, privacy.minimumPairs);
  switch (admission.mode) {
    case 'open':
      return null;
    case 'allow-list':
      if (!admission.participants.includes(sender)) throw new PrefmeshError('NOT_ADMITTED', { sender });
      return null;
    case 'invite': {
      if (invite === null) throw new PrefmeshError('INVITE_MISSING', { sender });
      const opened = openInvite(invite, context.federation);
      const user = context.usedBy(opened.content.serial);
      if (user !== undefined && user !== sender) throw new PrefmeshError('INVITE_USED', { sender });
      if (user === undefined) checkFirstUse(opened, context);
      // Who is somebody's guest stays so, whatever other invite it shows; that one is left for another.
      const inviter = context.inviterOf(sender) ?? opened.sender;
      if (!context.members.includes(sender)) checkPlaces(inviter, sender, admission.guestsPerInviter, context);
      return inviter === opened.sender ? opened : null;
    }
  }
}

/** Throws TOO_FEW_PAIRS when even the most pairs that a bucket may stand for are below the minimum. */
export function checkPairs(bucket: number, minimum: number): void {
  if (2 * bucket - 1 < minimum) throw new PrefmeshError('TOO_FEW_PAIRS', { pairs: bucket, minimum });
}

/** Everyone whom one of `inviters` has brought in, directly or by way of its guests; in the order of `guests`. */
export function guestsOf(
  inviters: readonly ParticipantId[],
  guests: readonly ParticipantId[],
  inviterOf: JoinContext['inviterOf'],
): ParticipantId[] {
  return guests.filter((guest) => ancestorsOf(guest, inviterOf).some((each) => inviters.includes(each)));
}

/** Throws INVITE_EXPIRED, INVITE_REVOKED, INVITE_NOT_VALID. */
function checkFirstUse({ content: { serial, inviter, expiresAt } }: OpenedInvite, context: JoinContext): void {
  const { now, revocations, members, federation } = context;
  if (now > expiresAt) throw new PrefmeshError('INVITE_EXPIRED', { late: now - expiresAt });
  const { participants = [], invites = [] } = revocations?.content ?? {};
  if (invites.includes(serial) || participants.includes(inviter))
    throw new PrefmeshError('INVITE_REVOKED', { inviter });
  const { owner, aggregators } = federation.content;
  const standing = inviter === owner || aggregators.some(({ id }) => id === inviter) || members.includes(inviter);
  if (!standing) throw new PrefmeshError('INVITE_NOT_VALID', { inviter });
}

/** Throws INVITER_FULL where the inviter, or whoever brought it in, has as many guests as one may have. */
function checkPlaces(inviter: ParticipantId, sender: ParticipantId, most: number, context: JoinContext): void {
  const { federation, members, inviterOf } = context;
  for (const each of [inviter, ...ancestorsOf(inviter, inviterOf)]) {
    if (each === federation.content.owner) continue;
    const guests = guestsOf([each], members, inviterOf).filter((guest) => guest !== sender);
    if (guests.length >= most) throw new PrefmeshError('INVITER_FULL', { inviter: each, most });
  }
}

/** Whose guest a key is, whose guest that one is, and so on. */
function ancestorsOf(guest: ParticipantId, inviterOf: JoinContext['inviterOf']): ParticipantId[] {
  const found: ParticipantId[] = [];
  for (let next = inviterOf(guest); next !== undefined && !found.includes(next); next = inviterOf(next)) {
    found.push(next);
  }
  return found;
}
