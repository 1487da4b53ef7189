/**
 * What this node knows of revocations: the lists that receipts name, and the newest that it has met or been given.
 * Every list is the owner's, so whoever serves it need not be believed.
 */
import type { Identity, ParticipantId } from '../../protocol/identity.ts';
import type { OpenedManifest } from '../../protocol/manifest.ts';
import type { Sha256 } from '../../protocol/names.ts';
import type { Receipt } from '../../protocol/receipt.ts';
import { checkLater, checkNotRevoked, openRevocations } from '../../protocol/revocations.ts';
import type { OpenedRevocations } from '../../protocol/revocations.ts';
import { isRefusal } from '../network/refusal.ts';
import type { AggregatorLink } from './aggregatorLink.ts';
import type { ParticipantStore } from './store.ts';

export interface RevocationListsComponents {
  readonly federation: OpenedManifest;
  readonly identity: Pick<Identity, 'id'>;
  readonly store: ParticipantStore;
  readonly link: Pick<AggregatorLink, 'askForRevocations'>;
}

export class RevocationLists {
  readonly #components: RevocationListsComponents;

  constructor(components: RevocationListsComponents) {
    this.#components = components;
  }

  /** The newest list that is known here. */
  get newest(): OpenedRevocations | null {
    const { store, federation } = this.#components;
    const bytes = store.revocations(federation.hash);
    return bytes && openRevocations(bytes, federation);
  }

  /**
   * The envelopes of the lists that receipts name, fetched where they are not here. One that nobody has is left out:
   * the verification misses it. Throws errors with exit code 4.
   */
  async namedBy(receipts: readonly (Receipt | null | undefined)[], signal?: AbortSignal): Promise<Uint8Array[]> {
    const { store, federation, link } = this.#components;
    const found: Uint8Array[] = [];
    for (const hash of new Set(receipts.map((receipt) => receipt?.revocations ?? null))) {
      if (hash === null) continue;
      const bytes =
        store.revocations(federation.hash, hash) ??
        (await missing(() => link.askForRevocations(hash, signal ? { signal } : {})));
      if (bytes !== null) found.push(bytes);
    }
    return found;
  }

  /** Remembers lists: of a receipt that was verified, or one that was handed to this node. */
  remember(lists: readonly Uint8Array[]): void {
    const { store, federation } = this.#components;
    for (const bytes of lists) store.recordRevocations(federation.hash, openRevocations(bytes, federation));
  }

  /** The keys that the list of a verified receipt revokes. */
  revokedBy({ revocations }: Receipt): readonly ParticipantId[] {
    const { store, federation } = this.#components;
    const bytes = revocations === null ? null : store.revocations(federation.hash, revocations as Sha256);
    return bytes === null ? [] : openRevocations(bytes, federation).content.participants;
  }

  /**
   * Asks whether this node's own key was revoked; the aggregator's word alone is not enough for that.
   * Throws KEY_REVOKED, REVOCATIONS_STALE, errors with exit code 4.
   */
  async checkOwnKey(signal?: AbortSignal): Promise<void> {
    const { identity, federation, link } = this.#components;
    checkNotRevoked(identity.id, this.newest);
    const bytes = await missing(() => link.askForRevocations(null, signal ? { signal } : {}));
    if (bytes === null) return;
    const list = openRevocations(bytes, federation);
    checkLater(this.newest, list);
    this.remember([bytes]);
    checkNotRevoked(identity.id, list);
  }
}

/** What is asked for, or null where the peer has none. */
async function missing(ask: () => Promise<Uint8Array>): Promise<Uint8Array | null> {
  try {
    return await ask();
  } catch (error) {
    if (isRefusal(error, 'REVOCATIONS_MISSING')) return null;
    throw error;
  }
}
