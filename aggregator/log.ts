/**
 * The aggregator's side of a federation's log: the receipts in their order as the leaves of a Merkle tree that only
 * grows (RFC 6962), and signed checkpoints of it.
 *
 * The receipts in the ledger are the log; besides them only what witnesses have cosigned is stored. A checkpoint of the
 * same receipts has the same bytes, so signing it again after a restart says nothing new.
 */
import { cosigners, openCheckpoint, sameCheckpoint, signCheckpoint, withCosignatures } from '../protocol/checkpoint.ts';
import { PrefmeshError } from '../protocol/errors.ts';
import type { Identity, ParticipantId } from '../protocol/identity.ts';
import { consistencyOfLeaves, leafHash, rootOfLeaves } from '../protocol/merkle.ts';
import type { OpenedManifest } from '../protocol/manifest.ts';
import { openReceipt } from '../protocol/receipt.ts';
import { unrevokedWitnesses } from '../protocol/revocations.ts';
import type { LogAnswer } from '../node/network/federation/server.ts';
import type { Ledger } from './ledger.ts';

export class FederationLog {
  readonly #federation: OpenedManifest;
  readonly #identity: Identity;
  readonly #ledger: Ledger;
  readonly #revoked: () => readonly ParticipantId[];
  /** Leaf hashes of the receipts that were read so far; receipts never change. */
  readonly #leaves: Uint8Array[] = [];
  /** The checkpoint that was signed last, without cosignatures: everybody asks for the same one. */
  #signed: { readonly size: number; readonly note: string } | undefined;

  /** @param revoked keys whose cosignatures do not count any more */
  constructor(
    federation: OpenedManifest,
    identity: Identity,
    ledger: Ledger,
    revoked: () => readonly ParticipantId[] = () => [],
  ) {
    this.#revoked = revoked;
    this.#federation = federation;
    this.#identity = identity;
    this.#ledger = ledger;
  }

  /**
   * The newest checkpoint that has the cosignatures its federation wants, or where none of at least `size` receipts
   * has, the newest; and the proof that it goes on from its first `size` receipts. Undefined beyond the log's length.
   */
  from(size: number): LogAnswer | undefined {
    this.#readNew();
    const { length } = this.#leaves;
    if (size > length) return undefined;
    const { required } = this.#federation.content.witnesses;
    const participants = this.#witnesses;
    const enough = (checkpoint: string) => cosigners(openCheckpoint(checkpoint), participants).length >= required;
    const newest = this.#checkpointOf(length);
    if (enough(newest)) return this.#answer(newest, size);
    const chosen = this.#ledger.cosignedFrom(size).find(enough) ?? newest;
    return this.#answer(chosen, size);
  }

  /**
   * Takes the cosignatures of the federation's witnesses on a checkpoint of this log, durably.
   *
   * @throws NOT_A_WITNESS when there is none, or the checkpoint is not this log's; MALFORMED, BAD_SIGNATURE
   */
  cosign(text: string): LogAnswer {
    this.#readNew();
    const cosigned = openCheckpoint(text);
    const participants = this.#witnesses;
    const own = cosigned.size <= this.#leaves.length ? openCheckpoint(this.#checkpointOf(cosigned.size)) : undefined;
    if (own === undefined || !sameCheckpoint(own, cosigned) || cosigners(cosigned, participants).length === 0) {
      throw new PrefmeshError('NOT_A_WITNESS', {});
    }
    const note = withCosignatures(own, cosigned, participants);
    if (note !== own.text) this.#ledger.storeCosigned(cosigned.size, note);
    return this.#answer(note, 0);
  }

  get #witnesses(): ParticipantId[] {
    return unrevokedWitnesses(this.#federation, this.#revoked());
  }

  /** The checkpoint of just the first `size` receipts, with the cosignatures that came for it. */
  checkpointOf(size: number): string {
    this.#readNew();
    return this.#checkpointOf(size);
  }

  #answer(checkpoint: string, size: number): LogAnswer {
    const leaves = this.#leaves.slice(0, openCheckpoint(checkpoint).size);
    return { checkpoint, proof: size === 0 ? [] : consistencyOfLeaves(leaves, size) };
  }

  #checkpointOf(size: number): string {
    const cosigned = this.#ledger.cosigned(size);
    if (cosigned !== undefined) return cosigned;
    if (this.#signed?.size !== size) {
      const root = rootOfLeaves(this.#leaves.slice(0, size));
      const note = signCheckpoint(this.#identity, { federation: this.#federation.hash, size, root });
      this.#signed = { size, note };
    }
    return this.#signed.note;
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
