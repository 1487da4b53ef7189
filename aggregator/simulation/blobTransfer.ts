/** Fetching blobs over the simulated network, with the retries of `node/network/blob/client.ts`. */
import type { FetchOptions, FetchResult } from '../../node/network/blob/client.ts';
import { pause } from '../../node/clock.ts';
import { backoff } from '../../node/network/deadline.ts';
import type { Blobs } from '../../node/storage/blobs.ts';
import type { RandomStream } from '../../node/training/randomStream.ts';
import { PrefmeshError, isPrefmeshError } from '../../protocol/errors.ts';
import type { ParticipantId } from '../../protocol/identity.ts';
import { LIMITS } from '../../protocol/limits.ts';
import { sha256 } from '../../protocol/names.ts';
import type { Sha256 } from '../../protocol/names.ts';
import type { SimulatedProcess } from './machine.ts';
import type { SimulatedNetwork } from './network.ts';

export interface BlobTransferComponents {
  readonly process: SimulatedProcess;
  readonly network: SimulatedNetwork;
  readonly blobs: Blobs;
  readonly random: RandomStream;
  /** Bytes on the wire for each byte of a simulated blob, which is far smaller than a real one. */
  readonly inflation: number;
}

export class BlobTransfer {
  readonly #components: BlobTransferComponents;

  constructor(components: BlobTransferComponents) {
    this.#components = components;
  }

  /** Makes a blob present in the store. Throws what `BlobClient.fetch` throws. */
  async fetch(hash: Sha256, { from, maxBytes, signal }: FetchOptions): Promise<FetchResult> {
    const { process, blobs, random } = this.#components;
    const present = await blobs.size(hash);
    if (present !== undefined) return { size: present, transferred: 0, attempts: 0 };
    let last: unknown = new PrefmeshError('BLOB_MISSING', { hash });
    for (const peer of from as readonly ParticipantId[]) {
      for (let attempts = 1; attempts <= LIMITS.blobAttempts.value; attempts++) {
        try {
          const bytes = await this.#transfer(hash, peer, signal);
          const limit = Math.min(maxBytes ?? Infinity, LIMITS.blobSize.value);
          if (bytes.length > limit) throw new PrefmeshError('BLOB_TOO_LARGE', { size: bytes.length, limit });
          const actual = sha256(bytes);
          if (actual !== hash) throw new PrefmeshError('BLOB_MISMATCH', { hash, actual });
          await blobs.put(bytes);
          return { size: bytes.length, transferred: bytes.length, attempts };
        } catch (error) {
          signal?.throwIfAborted();
          last = error;
          if (!isPrefmeshError(error)) throw error;
          if (error.exitCode !== 4) break; // the peer has nothing better
          const wait = backoff(attempts, LIMITS.blobRetryFirst.value, LIMITS.blobRetryLongest.value, () =>
            random.uniform(),
          );
          await pause(process.clock, wait, signal);
        }
      }
    }
    throw last;
  }

  #transfer(hash: Sha256, peer: ParticipantId, signal?: AbortSignal): Promise<Uint8Array> {
    const { process, network, inflation } = this.#components;
    const serve = async (services: { blob?: (hash: Sha256, from: ParticipantId) => Promise<Uint8Array> }) => {
      if (services.blob === undefined) throw new PrefmeshError('BLOB_MISSING', { hash });
      return services.blob(hash, process.id);
    };
    const size = (bytes: Uint8Array): number => Math.ceil(bytes.length * inflation);
    return network.request(process, peer, `blob ${hash}`, serve, { size, wait: Infinity, ...(signal && { signal }) });
  }
}
