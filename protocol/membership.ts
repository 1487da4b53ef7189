/**
 * Who may become a member. Pure: the aggregator keeps who used which invite, this says what follows from it.
 */
import { PrefmeshError } from './errors.ts';
import type { ParticipantId } from './identity.ts';
import { openInvite } from './invite.ts';
import type { OpenedInvite } from './invite.ts';
import type { OpenedManifest } from './manifest.ts';

export interface JoinRequest {
  readonly sender: ParticipantId;
  readonly invite: Uint8Array | null;
  readonly pairsBucket: number;
}

export interface JoinContext {
  readonly federation: OpenedManifest;
  /** Milliseconds since 1970. */
  readonly now: number;
  /** The key that an invite's serial is bound to, if it was used. */
  readonly usedBy: (serial: string) => ParticipantId | undefined;
}

/**
 * Checks a request to join. Returns the invite to remember as used by the sender, or null where none is needed.
 * A guest that shows its own invite again is let in again.
 * Throws NOT_ADMITTED, TOO_FEW_PAIRS, INVITE_MISSING, INVITE_USED, and what `openInvite` throws.
 */
export function checkJoin({ sender, invite, pairsBucket }: JoinRequest, context: JoinContext): OpenedInvite | null {
  const { admission, privacy } = context.federation.content;
  checkPairs(pairsBucket, privacy.minimumPairs);
  switch (admission.mode) {
    case 'open':
      return null;
    case 'allow-list':
      if (!admission.participants.includes(sender)) throw new PrefmeshError('NOT_ADMITTED', { sender });
      return null;
    case 'invite': {
      if (invite === null) throw new PrefmeshError('INVITE_MISSING', { sender });
      const opened = openInvite(invite, context.federation, context.now);
      const user = context.usedBy(opened.content.serial);
      if (user !== undefined && user !== sender) throw new PrefmeshError('INVITE_USED', { sender });
      return opened;
    }
  }
}

/** Throws TOO_FEW_PAIRS when even the most pairs that a bucket may stand for are below the minimum. */
export function checkPairs(bucket: number, minimum: number): void {
  if (2 * bucket - 1 < minimum) throw new PrefmeshError('TOO_FEW_PAIRS', { pairs: bucket, minimum });
}
