/**
 * Serves blobs to peers that may have them: an aggregator its adapters, a participant its own update.
 *
 * A blob is read from disk chunk by chunk as it is asked for and never held whole. A request that cannot be served is
 * answered with a code; only a peer that breaks the framing loses its stream.
 */
import type { Stream } from '@libp2p/interface';
import { encode } from '../../../protocol/codec.ts';
import { PrefmeshError, isPrefmeshError } from '../../../protocol/errors.ts';
import type { ParticipantId } from '../../../protocol/identity.ts';
import { LIMITS } from '../../../protocol/limits.ts';
import type { Sha256 } from '../../../protocol/names.ts';
import type { BlobReader, BlobStore } from '../../storage/blobs.ts';
import { Allowance } from '../allowance.ts';
import { Frames } from '../frames.ts';
import type { Host } from '../host.ts';
import { refusalOf } from '../refusal.ts';
import { BLOB_PROTOCOL, BLOB_REQUEST_BYTES, type BlobRequest, blobRequestSchema, encodeChunk } from './messages.ts';

export interface BlobServerComponents {
  readonly host: Host;
  readonly store: BlobStore;
}

export interface BlobServerInit {
  /** Whether this peer may have this blob. Asked before anything is said about the blob, whether it is here included. */
  readonly mayRead: (hash: Sha256, peer: ParticipantId) => boolean | Promise<boolean>;
  /** Bytes that one peer may read in an hour. */
  readonly hourlyBytes?: number;
}

const HOUR = 3_600_000;

export class BlobServer implements AsyncDisposable {
  readonly #store: BlobStore;
  readonly #mayRead: BlobServerInit['mayRead'];
  readonly #allowance: Allowance;
  readonly #registration: Promise<AsyncDisposable>;

  private constructor({ host, store }: BlobServerComponents, { mayRead, hourlyBytes }: BlobServerInit) {
    this.#store = store;
    this.#mayRead = mayRead;
    this.#allowance = new Allowance({ units: hourlyBytes ?? LIMITS.blobHourly.value, refill: HOUR });
    this.#registration = host.serve(BLOB_PROTOCOL, (stream, from) => this.#serve(stream, from));
  }

  static async start(components: BlobServerComponents, init: BlobServerInit): Promise<BlobServer> {
    const server = new BlobServer(components, init);
    await server.#registration;
    return server;
  }

  async stop(): Promise<void> {
    await (await this.#registration)[Symbol.asyncDispose]();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }

  async #serve(stream: Stream, peer: ParticipantId): Promise<void> {
    const frames = new Frames(stream, peer, { maxFrame: BLOB_REQUEST_BYTES });
    await using open = new OpenBlob(this.#store);
    const wait = LIMITS.blobReadWait.value;
    try {
      let sent = Promise.resolve();
      for (;;) {
        const request = await frames.read(blobRequestSchema, { what: 'blob request', wait });
        if (request.t === 'done') break;
        const reply = await this.#answer(request, peer, open); // comes from disk while the one before it leaves
        await sent;
        sent = frames.writeEncoded(reply, { what: 'blob reply', wait });
        sent.catch(() => undefined); // seen where it is awaited
      }
      await sent;
    } catch (error) {
      if (isPrefmeshError(error, 'STREAM_CUT') || isPrefmeshError(error, 'PEER_SILENT'))
        return frames.abort(error.code);
      await frames.write(refusalOf(error), { what: 'refusal', wait });
    }
    await frames.close({ wait });
  }

  async #answer(
    request: Exclude<BlobRequest, { t: 'done' }>,
    peer: ParticipantId,
    open: OpenBlob,
  ): Promise<Uint8Array[]> {
    try {
      if (!(await this.#mayRead(request.id, peer))) throw new PrefmeshError('BLOB_FORBIDDEN', { hash: request.id });
      const reader = await open.reader(request.id);
      if (request.t === 'head') return [encode({ t: 'head', size: reader.size })];
      const offset = request.chunk * LIMITS.blobChunk.value;
      if (offset >= reader.size) {
        throw new PrefmeshError('MALFORMED', { what: 'blob request', problem: 'a chunk beyond the end' });
      }
      const length = Math.min(LIMITS.blobChunk.value, reader.size - offset);
      this.#allowance.use(peer, length);
      return encodeChunk(request.chunk, await reader.read(offset, length));
    } catch (error) {
      return [encode(refusalOf(error))];
    }
  }
}

/** The one blob that a stream is reading, kept open between its chunks. */
class OpenBlob implements AsyncDisposable {
  readonly #store: BlobStore;
  #current: { readonly hash: Sha256; readonly reader: BlobReader } | undefined;

  constructor(store: BlobStore) {
    this.#store = store;
  }

  async reader(hash: Sha256): Promise<BlobReader> {
    if (this.#current?.hash !== hash) {
      await this[Symbol.asyncDispose]();
      this.#current = { hash, reader: await this.#store.open(hash) };
    }
    return this.#current.reader;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const { reader } = this.#current ?? {};
    this.#current = undefined;
    await reader?.[Symbol.asyncDispose]();
  }
}
