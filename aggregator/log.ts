/**
 * The aggregator's side of a federation's log: the receipts in their order as the leaves of a Merkle tree that only
 * grows (RFC 6962), and signed checkpoints of it.
 *
 * The receipts in the ledger are the log; nothing else is stored. A checkpoint of the same receipts has the same bytes,
 * so signing it again after a restart says nothing new.
 */
import { signCheckpoint } from '../protocol/checkpoint.ts';
import type { Identity } from '../protocol/identity.ts';
import { consistencyOfLeaves, leafHash, rootOfLeaves } from '../protocol/merkle.ts';
import type { Sha256 } from '../protocol/names.ts';
import { openReceipt } from '../protocol/receipt.ts';
import type { LogAnswer } from '../node/network/federation/server.ts';
import type { Ledger } from './ledger.ts';

export class FederationLog {
  readonly #federation: Sha256;
  readonly #identity: Identity;
  readonly #ledger: Ledger;
  /** Leaf hashes of the receipts that were read so far; receipts never change. */
  readonly #leaves: Uint8Array[] = [];

  constructor(federation: Sha256, identity: Identity, ledger: Ledger) {
    this.#federation = federation;
    this.#identity = identity;
    this.#ledger = ledger;
  }

  /** The newest checkpoint, and the proof that it goes on from its first `size` receipts; undefined beyond its length. */
  from(size: number): LogAnswer | undefined {
    this.#readNew();
    const leaves = this.#leaves;
    if (size > leaves.length) return undefined;
    const checkpoint = { federation: this.#federation, size: leaves.length, root: rootOfLeaves(leaves) };
    return {
      checkpoint: signCheckpoint(this.#identity, checkpoint),
      proof: size === 0 ? [] : consistencyOfLeaves(leaves, size),
    };
  }

  /** Receipts are numbered from 1 without gaps. */
  #readNew(): void {
    for (;;) {
      const receipt = this.#ledger.receipt(this.#leaves.length + 1);
      if (receipt === undefined) return;
      this.#leaves.push(leafHash(receipt.envelope));
    }
  }
}

/** The update messages that the receipt of a round lists, in its order; undefined where there is no receipt. */
export function evidenceOf(ledger: Ledger, round: number): Uint8Array[] | undefined {
  const receipt = ledger.receipt(round);
  if (receipt === undefined) return undefined;
  const envelopes = ledger.updateEnvelopes(round);
  return openReceipt(receipt.envelope)
    .content.updates.map(({ envelope }) => envelopes.get(envelope))
    .filter((envelope) => envelope !== undefined);
}
