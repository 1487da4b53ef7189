/**
 * The participant's side of the federation protocol. What comes back is bytes: the caller checks their signature.
 */
import { PrefmeshError } from '../../../protocol/errors.ts';
import { LIMITS } from '../../../protocol/limits.ts';
import type { RoundNumber, Sha256 } from '../../../protocol/names.ts';
import type { PeerAddress } from '../addresses.ts';
import { Frames } from '../frames.ts';
import type { Host } from '../host.ts';
import { refused } from '../refusal.ts';
import {
  FEDERATION_PROTOCOL,
  type FederationReply,
  type FederationRequest,
  REPLY_BYTES,
  replySchema,
} from './messages.ts';

export interface RequestOptions {
  readonly signal?: AbortSignal;
}

export class FederationClient {
  readonly #host: Host;

  constructor(host: Host) {
    this.#host = host;
  }

  /**
   * Sends a signed envelope and returns the envelope that answers it.
   * @throws PEER_REFUSED (with the peer's code), PEER_UNREACHABLE, PROTOCOL_UNSUPPORTED, PEER_SILENT, STREAM_CUT,
   *   OVERSIZED, MALFORMED
   */
  async request(aggregator: PeerAddress, envelope: Uint8Array, options: RequestOptions = {}): Promise<Uint8Array> {
    const limit = LIMITS.message.value;
    if (envelope.length > limit)
      throw new PrefmeshError('OVERSIZED', { what: 'message', bytes: envelope.length, limit });
    return (await this.#exchange(aggregator, { t: 'message', envelope }, 'reply', 'message', options)).envelope;
  }

  /** The envelope of a federation's manifest; to be checked against the id. Throws as `request`. */
  async manifest(aggregator: PeerAddress, federation: Sha256, options: RequestOptions = {}): Promise<Uint8Array> {
    const what = `manifest ${federation}`;
    return (await this.#exchange(aggregator, { t: 'manifest', federation }, 'reply', what, options)).envelope;
  }

  /** The update messages that the receipt of a round lists, to be checked by their hashes. Throws as `request`. */
  async evidence(
    aggregator: PeerAddress,
    federation: Sha256,
    round: RoundNumber,
    options: RequestOptions = {},
  ): Promise<Uint8Array[]> {
    const request = { t: 'evidence', federation, round } as const;
    return (await this.#exchange(aggregator, request, 'evidence', `evidence of round ${round}`, options)).envelopes;
  }

  /** The log's newest checkpoint, and the proof that it goes on from its first `size` receipts. Throws as `request`. */
  async log(
    aggregator: PeerAddress,
    federation: Sha256,
    size: number,
    options: RequestOptions = {},
  ): Promise<{ readonly checkpoint: string; readonly proof: readonly Uint8Array[] }> {
    return this.#exchange(aggregator, { t: 'log', federation, size }, 'log', `log from ${size}`, options);
  }

  /** Hands in a checkpoint of the log that a witness has cosigned. Throws as `request`. */
  async cosign(
    aggregator: PeerAddress,
    federation: Sha256,
    checkpoint: string,
    options: RequestOptions = {},
  ): Promise<void> {
    await this.#exchange(aggregator, { t: 'cosign', federation, checkpoint }, 'log', 'cosignature', options);
  }

  /** A list of revocations by its hash, or the newest; to be checked. Throws as `request`. */
  async revocations(
    aggregator: PeerAddress,
    federation: Sha256,
    list: Sha256 | null,
    options: RequestOptions = {},
  ): Promise<Uint8Array> {
    const request = { t: 'revocations', federation, list } as const;
    return (await this.#exchange(aggregator, request, 'reply', 'list of revocations', options)).envelope;
  }

  /** Hands in a list of revocations; the newest one that the aggregator has then. Throws as `request`. */
  async revoke(
    aggregator: PeerAddress,
    federation: Sha256,
    envelope: Uint8Array,
    options: RequestOptions = {},
  ): Promise<Uint8Array> {
    const request = { t: 'revoke', federation, envelope } as const;
    return (await this.#exchange(aggregator, request, 'reply', 'list of revocations', options)).envelope;
  }

  /** Who was let in by which invite: for the owner and for aggregators. Throws as `request`. */
  async guests(
    aggregator: PeerAddress,
    federation: Sha256,
    options: RequestOptions = {},
  ): Promise<Extract<FederationReply, { t: 'guests' }>['guests']> {
    return (await this.#exchange(aggregator, { t: 'guests', federation }, 'guests', 'guests', options)).guests;
  }

  async #exchange<Kind extends FederationReply['t']>(
    aggregator: PeerAddress,
    request: FederationRequest,
    expected: Kind,
    what: string,
    options: RequestOptions,
  ): Promise<Extract<FederationReply, { t: Kind }>> {
    const { signal } = options;
    const { stream, peer } = await this.#host.openStream(aggregator, FEDERATION_PROTOCOL, {
      ...options,
      throughRelay: true,
    });
    const frames = new Frames(stream, peer, { maxFrame: REPLY_BYTES });
    try {
      await frames.write(request, { what, wait: LIMITS.requestWait.value, signal });
      const reply = await frames.read(replySchema, { what, wait: LIMITS.replyWait.value, signal });
      if (reply.t === 'refused') throw refused(peer, what, reply);
      await frames.close({ wait: LIMITS.requestWait.value, signal });
      if (reply.t !== expected) {
        throw new PrefmeshError('MALFORMED', { what: `answer to ${what}`, problem: `it is of the kind ${reply.t}` });
      }
      return reply as Extract<FederationReply, { t: Kind }>;
    } catch (error) {
      frames.abort('request failed');
      throw error;
    }
  }
}
