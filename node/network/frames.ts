/**
 * Frames on a stream: each a length, then that many bytes, holding one value of a closed schema.
 *
 * Nothing is read before its declared length has passed the bound. Every read and write has a time limit. Back-pressure
 * is by construction: the protocols on top answer one frame for one frame, so no more can be under way than was asked
 * for, and a write waits until the muxer has room (an iterator over the stream would read ahead without bound).
 */
import type { Stream } from '@libp2p/interface';
import { InvalidDataLengthError, InvalidDataLengthLengthError, lpStream } from '@libp2p/utils';
import { Uint8ArrayList } from 'uint8arraylist';
import type { z } from 'zod';
import { type DecodeOptions, type WireValue, decode, encode } from '../../protocol/codec.ts';
import { uvarint } from '../../protocol/envelope.ts';
import { PrefmeshError } from '../../protocol/errors.ts';
import { LIMITS } from '../../protocol/limits.ts';
import { isDeadline, networkProblem } from './problem.ts';
import { within } from './deadline.ts';

export interface FrameBounds {
  /** Largest frame that is read (bytes). */
  readonly maxFrame: number;
  /** Frames that may wait unread; a peer that sends more is cut off. Default 1. */
  readonly framesAhead?: number;
}

export interface FrameOptions {
  /** What the frame is, for errors: "blob reply". */
  readonly what: string;
  /** How long to wait (ms). */
  readonly wait: number;
  readonly signal?: AbortSignal | undefined;
}

/** Bytes that a varint length takes at most, for bounds on this platform's safe integers. */
const LENGTH_BYTES = 8;

export class Frames {
  readonly peer: string;
  readonly #stream: Stream;
  readonly #bounds: FrameBounds;
  readonly #lengthPrefixed: ReturnType<typeof lpStream>;

  constructor(stream: Stream, peer: string, bounds: FrameBounds) {
    this.peer = peer;
    this.#stream = stream;
    this.#bounds = bounds;
    this.#lengthPrefixed = lpStream(stream, {
      maxDataLength: bounds.maxFrame,
      maxLengthLength: LENGTH_BYTES,
      lengthDecoder: (bytes) => readLength(bytes.subarray()),
      maxBufferSize: LIMITS.streamUnread.value + (bounds.framesAhead ?? 1) * (bounds.maxFrame + LENGTH_BYTES),
    });
  }

  /**
   * The next frame.
   * @throws OVERSIZED, MALFORMED (the stream can still be written to), PEER_SILENT, STREAM_CUT
   */
  async read<Schema extends z.ZodType>(
    schema: Schema,
    { what, wait, signal, views = false }: FrameOptions & Pick<DecodeOptions, 'views'>,
  ): Promise<z.output<Schema>> {
    let bytes: Uint8Array;
    try {
      bytes = await within(wait, signal, async (either) =>
        (await this.#lengthPrefixed.read({ signal: either })).subarray(),
      );
    } catch (error) {
      throw this.#failure(error, what, wait, signal);
    }
    return decode(bytes, schema, { what, maxBytes: this.#bounds.maxFrame, views });
  }

  /**
   * Writes a frame; resolves when the muxer has taken it but for `LIMITS.streamUnsent`, which a remote that reads slowly
   * may make the longest part. @throws PEER_SILENT, STREAM_CUT
   */
  async write(value: WireValue, options: FrameOptions): Promise<void> {
    await this.writeEncoded([encode(value)], options);
  }

  /** As `write`, for a value that is encoded already: its bytes in parts, which nobody may change any more. */
  async writeEncoded(parts: readonly Uint8Array[], { what, wait, signal }: FrameOptions): Promise<void> {
    const length = parts.reduce((sum, part) => sum + part.length, 0);
    try {
      await within(wait, signal, () => this.#send(new Uint8ArrayList(uvarint(length), ...parts)));
    } catch (error) {
      throw this.#failure(error, what, wait, signal);
    }
  }

  /** Ends the stream in order, giving what was written `wait` ms to leave. */
  async close({ wait, signal }: Pick<FrameOptions, 'wait' | 'signal'>): Promise<void> {
    try {
      await within(wait, signal, (either) => this.#stream.close({ signal: either }));
    } catch {
      this.abort('not closed in time');
    }
  }

  abort(reason: string): void {
    this.#stream.abort(new Error(reason));
  }

  async #send(bytes: Uint8ArrayList): Promise<void> {
    const stream = this.#stream;
    const taken = Promise.withResolvers<void>();
    // libp2p sends on from its buffer in a microtask of its own after each `drain`; look after that.
    const look = () =>
      queueMicrotask(() => {
        if (stream.writeBufferLength <= LIMITS.streamUnsent.value) taken.resolve();
      });
    const onClose = ({ error }: { readonly error?: Error }) =>
      taken.reject(error ?? new Error('the stream was closed'));
    stream.addEventListener('drain', look);
    stream.addEventListener('idle', look);
    stream.addEventListener('close', onClose);
    try {
      stream.send(bytes);
      look();
      await taken.promise;
    } finally {
      stream.removeEventListener('drain', look);
      stream.removeEventListener('idle', look);
      stream.removeEventListener('close', onClose);
    }
  }

  #failure(error: unknown, what: string, wait: number, signal: AbortSignal | undefined): unknown {
    if (signal?.aborted) return error;
    if (error instanceof InvalidDataLengthError || error instanceof InvalidDataLengthLengthError) {
      const { maxFrame: limit } = this.#bounds;
      this.#stream.pause(); // what follows is never read; the answer to it can still be written
      return new PrefmeshError('OVERSIZED', { what, bytes: `more than ${limit}`, limit }, { cause: error });
    }
    if (isDeadline(error)) {
      return new PrefmeshError('PEER_SILENT', { peer: this.peer, wait, request: what }, { cause: error });
    }
    // libp2p rejects a write on a closed stream with an event, not with an error.
    const cause = error instanceof Error ? error : new Error('the stream was closed');
    return new PrefmeshError(
      'STREAM_CUT',
      { peer: this.peer, request: `${what}: ${networkProblem(cause)}` },
      { cause },
    );
  }
}

/**
 * The unsigned LEB128 varint that `bytes` hold, to the last of them. libp2p asks again with one more byte as long as this
 * throws a RangeError; its own reader does so for ever, which lets a peer fill memory with a length that never ends.
 */
function readLength(bytes: Uint8Array): number {
  if (bytes.length > LENGTH_BYTES) throw new InvalidDataLengthLengthError('a length without an end');
  let value = 0;
  for (const [index, byte] of bytes.entries()) {
    value += (byte & 0x7f) * 2 ** (7 * index);
    if (byte < 0x80) return value;
  }
  throw new RangeError('not the whole length yet');
}
