/**
 * Fetches blobs: from whichever of the given peers has them, on after a cut from the last whole chunk, verified.
 *
 * At most `blobDepth` chunks are under way at a time, and the next is asked for when one is on disk: a slow disk slows
 * the sender instead of filling memory. The size is declared and checked before the first byte of content is read.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { PrefmeshError, isPrefmeshError } from '../../../protocol/errors.ts';
import { LIMITS } from '../../../protocol/limits.ts';
import type { Sha256 } from '../../../protocol/names.ts';
import type { BlobStore } from '../../storage/blobs.ts';
import type { PartialBlob } from '../../storage/partialBlob.ts';
import type { PeerAddress } from '../addresses.ts';
import { backoff, within } from '../deadline.ts';
import { Frames } from '../frames.ts';
import type { Host } from '../host.ts';
import { isDeadline } from '../problem.ts';
import { refused } from '../refusal.ts';
import {
  BLOB_PROTOCOL,
  BLOB_REPLY_BYTES,
  blobChunkSchema,
  blobHeadSchema,
  chunkCount,
  chunkLength,
} from './messages.ts';

export interface BlobClientComponents {
  readonly host: Host;
  readonly store: BlobStore;
}

export interface BlobClientInit {
  /** Longest wait for one chunk (ms). */
  readonly wait?: number;
  /** Attempts in a row without a single new chunk before a peer counts as gone. */
  readonly attempts?: number;
}

export interface BlobProgress {
  /** Bytes of the blob that are on disk. */
  readonly received: number;
  /** Bytes of the whole blob. */
  readonly size: number;
  readonly peer: string;
}

export interface FetchOptions {
  /** Who may have it, in the order in which they are tried. */
  readonly from: readonly PeerAddress[];
  /** Refuse a larger one at its declared size (bytes). */
  readonly maxBytes?: number;
  readonly onProgress?: (progress: BlobProgress) => void;
  readonly signal?: AbortSignal;
}

export interface FetchResult {
  /** Bytes of the blob. */
  readonly size: number;
  /** Bytes of content that came over the network for it, sent again ones included; 0 when it was here already. */
  readonly transferred: number;
  /** Streams that it took. */
  readonly attempts: number;
}

export class BlobClient {
  readonly #host: Host;
  readonly #store: BlobStore;
  readonly #wait: number;
  readonly #attempts: number;
  readonly #fetching = new Map<Sha256, Promise<FetchResult>>();

  constructor({ host, store }: BlobClientComponents, init: BlobClientInit = {}) {
    this.#host = host;
    this.#store = store;
    this.#wait = init.wait ?? LIMITS.blobReadWait.value;
    this.#attempts = init.attempts ?? LIMITS.blobAttempts.value;
  }

  /**
   * Makes a blob present in the store. Cuts are mended as long as there is progress now and then; what was received
   * stays for the next call when this one fails.
   * @throws BLOB_MISMATCH, BLOB_TOO_LARGE, PEER_REFUSED, PEER_UNREACHABLE, PEER_RELAYED, PEER_SILENT, STREAM_CUT,
   *   MALFORMED, DISK_FULL: of the last peer tried
   */
  async fetch(hash: Sha256, options: FetchOptions): Promise<FetchResult> {
    // A second caller waits for the first, then takes what there is or tries for itself.
    for (let other = this.#fetching.get(hash); other !== undefined; other = this.#fetching.get(hash)) {
      await other.catch(() => undefined);
      options.signal?.throwIfAborted();
    }
    const fetching = this.#fetchFromAny(hash, options);
    this.#fetching.set(hash, fetching);
    try {
      return await fetching;
    } finally {
      this.#fetching.delete(hash);
    }
  }

  async #fetchFromAny(hash: Sha256, options: FetchOptions): Promise<FetchResult> {
    const { from, signal } = options;
    const present = await this.#store.size(hash);
    if (present !== undefined) return { size: present, transferred: 0, attempts: 0 };
    const candidates = [...from];
    const tally = { transferred: 0 };
    let fruitless = 0;
    let last: unknown = new PrefmeshError('BLOB_MISSING', { hash });
    for (let attempts = 1; candidates.length > 0; attempts++) {
      const before = tally.transferred;
      const peer = candidates[0]!;
      try {
        const size = await this.#fetchFrom(hash, peer, options, tally);
        return { size, transferred: tally.transferred, attempts };
      } catch (error) {
        signal?.throwIfAborted();
        last = error;
        this.#host.log.debug({ blob: hash, from: peer, problem: codeOf(error) }, 'blob not fetched yet');
        if (!isPrefmeshError(error)) throw error;
        switch (blame(error)) {
          case 'us':
            throw error;
          case 'peer':
            candidates.shift();
            continue;
          case 'link':
            candidates.push(candidates.shift()!);
        }
      }
      fruitless = tally.transferred > before ? 0 : fruitless + 1;
      if (fruitless >= this.#attempts * candidates.length) throw last;
      const pause = backoff(fruitless, LIMITS.blobRetryFirst.value, LIMITS.blobRetryLongest.value);
      await sleep(pause, undefined, signal === undefined ? {} : { signal });
    }
    throw last;
  }

  /** One attempt with one peer. A part that an earlier peer poisoned is dropped and fetched from this one alone. */
  async #fetchFrom(
    hash: Sha256,
    peer: PeerAddress,
    options: FetchOptions,
    tally: { transferred: number },
  ): Promise<number> {
    const resumed = { at: 0 };
    try {
      return await this.#transfer(hash, peer, options, tally, resumed);
    } catch (error) {
      if (!isPrefmeshError(error, 'BLOB_MISMATCH') || resumed.at === 0) throw error;
      return this.#transfer(hash, peer, options, tally, resumed);
    }
  }

  async #transfer(
    hash: Sha256,
    target: PeerAddress,
    { maxBytes = LIMITS.blobSize.value, onProgress, signal }: FetchOptions,
    tally: { transferred: number },
    resumed: { at: number },
  ): Promise<number> {
    const { stream, peer } = await this.#host.openStream(target, BLOB_PROTOCOL, signal === undefined ? {} : { signal });
    const frames = new Frames(stream, peer, { maxFrame: BLOB_REPLY_BYTES, framesAhead: LIMITS.blobDepth.value });
    const wait = this.#wait;
    try {
      await frames.write({ t: 'head', id: hash }, { what: 'blob request', wait, signal });
      const head = await frames.read(blobHeadSchema, { what: 'blob head', wait, signal });
      if (head.t === 'refused') throw refused(peer, `blob ${hash}`, head);
      const { size } = head;
      const limit = Math.min(maxBytes, LIMITS.blobSize.value);
      if (size > limit) throw new PrefmeshError('BLOB_TOO_LARGE', { size, limit });
      await using partial = await this.#store.receive(hash, size, LIMITS.blobChunk.value);
      resumed.at = partial.resumedAt;
      const longest = wait + (size / LIMITS.blobSlowest.value) * 1000;
      await within(longest, signal, (either) =>
        pull(frames, hash, partial, size, { wait, signal: either }, (bytes) => {
          tally.transferred += bytes;
          onProgress?.({ received: partial.length, size, peer });
        }),
      );
      await partial.finish();
      await frames.write({ t: 'done' }, { what: 'blob request', wait, signal });
      await frames.close({ wait, signal });
      return size;
    } catch (error) {
      frames.abort(codeOf(error));
      if (isDeadline(error))
        throw new PrefmeshError('PEER_SILENT', { peer, wait: error.wait, request: `blob ${hash}` });
      throw error;
    }
  }
}

/** Asks for the missing chunks, `blobDepth` ahead of what has come, and appends each as it comes. */
async function pull(
  frames: Frames,
  hash: Sha256,
  partial: PartialBlob,
  size: number,
  { wait, signal }: { readonly wait: number; readonly signal: AbortSignal },
  onChunk: (bytes: number) => void,
): Promise<void> {
  const end = chunkCount(size);
  let asked = Math.ceil(partial.length / LIMITS.blobChunk.value);
  let cut = false;
  for (let next = asked; next < end; next++) {
    try {
      for (; !cut && asked < Math.min(end, next + LIMITS.blobDepth.value); asked++) {
        await frames.write({ t: 'get', id: hash, chunk: asked }, { what: 'blob request', wait, signal });
      }
    } catch (error) {
      if (!isPrefmeshError(error, 'STREAM_CUT')) throw error;
      cut = true; // the chunks that came before it are still to be read
    }
    const reply = await frames.read(blobChunkSchema, { what: 'blob chunk', wait, signal, views: true });
    if (reply.t === 'refused') throw refused(frames.peer, `blob ${hash}`, reply);
    if (reply.chunk !== next || reply.bytes.length !== chunkLength(size, next)) {
      throw new PrefmeshError('MALFORMED', { what: 'blob chunk', problem: 'another chunk or length than asked for' });
    }
    await partial.append(reply.bytes);
    onChunk(reply.bytes.length);
  }
}

/** Who must change for a fetch to succeed: the link (try again), the peer (try another), or we (give up). */
function blame(error: PrefmeshError): 'link' | 'peer' | 'us' {
  switch (error.code) {
    case 'STREAM_CUT':
    case 'PEER_SILENT':
    case 'PEER_UNREACHABLE':
      return 'link';
    case 'PEER_REFUSED':
      return error.details.code === 'RATE_LIMITED' ? 'link' : 'peer';
    case 'BLOB_MISMATCH':
    case 'BLOB_TOO_LARGE':
    case 'MALFORMED':
    case 'OVERSIZED':
    case 'PROTOCOL_UNSUPPORTED':
    case 'PEER_RELAYED':
      return 'peer';
    default:
      return 'us';
  }
}

function codeOf(error: unknown): string {
  return isPrefmeshError(error) ? error.code : 'UNEXPECTED';
}
