/**
 * Verifying receipts for many participants at once. Verification is a pure function, and a thousand participants ask
 * it of the same bytes; so the part that is the same for all is done once, and each participant's own part every time.
 */
import type { OpenedManifest } from '../../protocol/manifest.ts';
import type { Sha256 } from '../../protocol/names.ts';
import { openReceipt } from '../../protocol/receipt.ts';
import { checkInclusion, verifyReceipt } from '../../protocol/verification.ts';
import type { Verification, VerificationContext } from '../../protocol/verification.ts';
import { isPrefmeshError } from '../../protocol/errors.ts';

export interface SharedTask {
  readonly receipt: Uint8Array;
  readonly previous: Uint8Array | null;
  readonly own: VerificationContext['own'] | null;
  readonly envelopes: readonly Uint8Array[] | null;
}

export class SharedVerification {
  readonly #federation: OpenedManifest;
  readonly #known = new WeakMap<Uint8Array, Map<Uint8Array | null, Verification>>();

  constructor(federation: OpenedManifest) {
    this.#federation = federation;
  }

  /** As `verifyReceipt`; with `blobs` and envelopes everything is done anew. */
  verify(
    { receipt, previous, own }: SharedTask,
    recomputing?: {
      readonly blobs: (hash: Sha256) => Uint8Array | undefined;
      readonly envelopes: (hash: Sha256) => Uint8Array | undefined;
    },
  ): Verification {
    const context = { federation: this.#federation, previous: previous && openReceipt(previous) };
    if (recomputing) return verifyReceipt(receipt, { ...context, ...(own && { own }), ...recomputing });
    let known = this.#known.get(receipt);
    if (known === undefined) this.#known.set(receipt, (known = new Map()));
    let shared = known.get(previous);
    if (shared === undefined) known.set(previous, (shared = verifyReceipt(receipt, context)));
    if (own === null || shared.receipt === null) return shared;
    try {
      checkInclusion(shared.receipt.content, own);
      return shared;
    } catch (error) {
      if (!isPrefmeshError(error)) throw error;
      return { ...shared, ok: false, failures: [...shared.failures, error] };
    }
  }
}
