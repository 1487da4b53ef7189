/**
 * An invite: the signed word of the owner, of an aggregator or, where the manifest says so, of a member that whoever
 * shows it first may join. It is bound to the first key that uses it; the aggregator keeps the serials that were used,
 * and by whom. Who invites answers for its guests: `membership.ts`.
 */
import { z } from 'zod';
import { openDocument, sealDocument } from './documents.ts';
import type { OpenedDocument } from './documents.ts';
import { PrefmeshError } from './errors.ts';
import { participantIdSchema } from './identity.ts';
import type { Identity, ParticipantId } from './identity.ts';
import { LIMITS } from './limits.ts';
import type { Manifest, OpenedManifest } from './manifest.ts';
import { nonceSchema, timestampSchema } from './messages.ts';
import { sha256Schema } from './names.ts';

export const inviteSchema = z
  .strictObject({
    federation: sha256Schema,
    /** Who answers for the guest. */
    inviter: participantIdSchema,
    /** 16 random bytes in hexadecimal: what a used invite is remembered by. */
    serial: nonceSchema,
    issuedAt: timestampSchema,
    expiresAt: timestampSchema,
    maxUses: z.literal(1),
  })
  .refine(({ issuedAt, expiresAt }) => expiresAt > issuedAt && expiresAt - issuedAt <= LIMITS.inviteLifetime.value, {
    error: 'expiresAt: not after issuedAt, or too long after it',
  });

export type Invite = z.infer<typeof inviteSchema>;
export type OpenedInvite = OpenedDocument<Invite>;

const TEXT_PREFIX = 'prefmesh-invite-1.';

/** Signs an invite and gives it as the text that a guest passes to `node join --invite`. Throws MALFORMED. */
export function signInvite(inviter: Identity, terms: Omit<Invite, 'inviter' | 'maxUses'>): string {
  const invite: Invite = { ...terms, inviter: inviter.id, maxUses: 1 };
  const { bytes } = sealDocument(inviter, 'invite', inviteSchema, invite);
  return TEXT_PREFIX + Buffer.from(bytes).toString('base64url');
}

/** The envelope bytes of an invite's text. Throws MALFORMED. */
export function parseInviteText(text: string): Uint8Array {
  const body = text.trim();
  const encoded = body.slice(TEXT_PREFIX.length);
  if (!body.startsWith(TEXT_PREFIX) || !/^[A-Za-z0-9_-]+$/.test(encoded) || encoded.length > LIMITS.message.value) {
    throw new PrefmeshError('MALFORMED', { what: 'invite', problem: `not a text that begins with ${TEXT_PREFIX}` });
  }
  return new Uint8Array(Buffer.from(encoded, 'base64url'));
}

/**
 * Checks an invite against the federation's manifest. Whether it still counts is another question: `checkFirstUse`.
 * Throws OVERSIZED, MALFORMED, UNEXPECTED_TYPE, BAD_SIGNATURE, WRONG_FEDERATION, INVITE_NOT_VALID.
 */
export function openInvite(bytes: Uint8Array, federation: OpenedManifest): OpenedInvite {
  const opened = openDocument(bytes, 'invite', inviteSchema);
  const { content: invite, sender } = opened;
  if (invite.federation !== federation.hash) {
    throw new PrefmeshError('WRONG_FEDERATION', { sender, federation: invite.federation });
  }
  if (invite.inviter !== sender || !mayInvite(sender, federation.content)) {
    throw new PrefmeshError('INVITE_NOT_VALID', { inviter: sender });
  }
  return opened;
}

/** Whether a key may sign invites at all; where members may, it has to be one, which the manifest cannot tell. */
export function mayInvite(inviter: ParticipantId, { owner, aggregators, admission }: Manifest): boolean {
  if (inviter === owner || aggregators.some(({ id }) => id === inviter)) return true;
  return admission.mode === 'invite' && admission.inviters === 'members';
}
