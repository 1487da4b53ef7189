/**
 * Taking in an offered update: pulled from its sender, checked in full, on disk before anyone says so.
 *
 * What is known of the update before it comes (its tensors, hence its length) bounds what is read of it.
 */
import type { BlobClient } from '../node/network/blob/client.ts';
import type { Blobs } from '../node/storage/blobs.ts';
import { admitBlob } from '../protocol/aggregation/admission.ts';
import { PrefmeshError } from '../protocol/errors.ts';
import type { Manifest } from '../protocol/manifest.ts';
import type { Sha256 } from '../protocol/names.ts';
import type { UpdateOffer } from '../protocol/roundState.ts';
import { blobBytes, decodeBlob, tableHash } from '../protocol/tensorBlob.ts';
import type { FixedPointTensors } from '../protocol/tensorBlob.ts';
import { factorTable } from '../protocol/update.ts';

export interface UpdateIntakeComponents {
  readonly manifest: Manifest;
  readonly blobs: Blobs;
  readonly client: Pick<BlobClient, 'fetch'>;
  /** Reads the adapter that a round starts from. */
  readonly readAdapter: (hash: Sha256, signal: AbortSignal) => Promise<Uint8Array>;
}

export class UpdateIntake {
  readonly #components: UpdateIntakeComponents;
  #parent: { readonly hash: Sha256; readonly tensors: FixedPointTensors } | undefined;
  /** Bytes of updates that came over the network. */
  bytesReceived = 0;

  constructor(components: UpdateIntakeComponents) {
    this.#components = components;
  }

  /**
   * Makes the offered update durable and returns its norm, in units of the weights.
   *
   * @param table what the offer says its tensor table's hash is
   * @throws WRONG_TENSOR_TABLE, OVERSIZED, BLOB_TOO_LARGE, BLOB_MISMATCH, MALFORMED_BLOB, NOT_FINITE, NORM_EXCEEDED:
   *   the update's fault; errors with exit code 4: it could not be pulled
   */
  async take(offer: UpdateOffer, table: string, signal: AbortSignal): Promise<number> {
    const { manifest, blobs, client } = this.#components;
    const parent = await this.#parentOf(offer.parent, signal);
    const expected = factorTable(parent.table, offer.factor);
    if (table !== tableHash(expected, parent.bits)) {
      throw new PrefmeshError('WRONG_TENSOR_TABLE', { problem: 'the message names another table' });
    }
    const limit = blobBytes(expected);
    if (offer.bytes > limit) throw new PrefmeshError('OVERSIZED', { what: 'update', bytes: offer.bytes, limit });

    const { transferred } = await client.fetch(offer.blob, { from: [offer.sender], maxBytes: limit, signal });
    this.bytesReceived += transferred;
    const terms = { parent, factor: offer.factor, normBound: manifest.update.normBound };
    const verdict = admitBlob(await blobs.read(offer.blob, { maxBytes: limit }), offer.blob, terms);
    if (verdict.accepted) return verdict.norm;
    if (transferred > 0) await blobs.delete(offer.blob);
    throw verdict.problem;
  }

  async #parentOf(hash: Sha256, signal: AbortSignal): Promise<FixedPointTensors> {
    if (this.#parent?.hash !== hash) {
      this.#parent = { hash, tensors: decodeBlob(await this.#components.readAdapter(hash, signal)) };
    }
    return this.#parent.tensors;
  }
}
