/**
 * A participant's line to its aggregator: finding one that the manifest names, and asking it things.
 *
 * Addresses come from the manifest, from a ticket or from the DHT, and are hints all the same: the transport proves
 * the key that answers, the manifest says which keys are aggregators, and every reply is signed by one of them.
 */
import type { SealedEnvelope } from '../../protocol/envelope.ts';
import { isPrefmeshError, PrefmeshError } from '../../protocol/errors.ts';
import type { Identity, ParticipantId } from '../../protocol/identity.ts';
import { LIMITS } from '../../protocol/limits.ts';
import type { OpenedManifest } from '../../protocol/manifest.ts';
import type { MessageType, Payload } from '../../protocol/messages.ts';
import { openEnvelope, sealMessage } from '../../protocol/opening.ts';
import type { OpenedMessage } from '../../protocol/opening.ts';
import type { RoundNumber, Sha256 } from '../../protocol/names.ts';
import { ReplayWindow } from '../../protocol/replay.ts';
import type { Clock } from '../clock.ts';
import { DeadlineError, within } from '../network/deadline.ts';
import type { FederationClient } from '../network/federation/client.ts';
import type { Host } from '../network/host.ts';
import { isRefusal } from '../network/refusal.ts';
import { MessageHeaders } from './messageHeaders.ts';

type Request = 'join' | 'leave' | 'round-query' | 'update' | 'receipt-query';
type Reply = 'joined' | 'round-terms' | 'acknowledgement';
/** What a request says besides its header. */
export type RequestBody<Type extends Request> = Omit<Payload<Type>, keyof Payload<'leave'>>;

interface AskOptions {
  readonly signal?: AbortSignal;
  /** Told the message before it leaves. */
  readonly beforeSending?: (envelope: SealedEnvelope) => void;
}

/** An aggregator that was reached, and how. */
interface Located {
  readonly id: ParticipantId;
  readonly through: 'address' | 'dht';
}

/** What a search has met so far. */
interface Seen {
  problem: string;
  /** Those that the DHT named and that were dialled for it. */
  readonly dialled: Set<ParticipantId>;
}

export interface AggregatorLinkComponents {
  readonly federation: OpenedManifest;
  readonly identity: Identity;
  readonly host: Pick<Host, 'connectedPeers' | 'connection' | 'connect' | 'hold'>;
  readonly client: Pick<FederationClient, 'request' | 'evidence' | 'log' | 'cosign' | 'revocations'>;
  /** Peers that the network names for the federation: hints. */
  readonly providers: (signal: AbortSignal) => AsyncIterable<{ readonly id: ParticipantId }>;
  readonly clock: Clock;
  /** 16 bytes in hexadecimal for each message; random when absent. */
  readonly nonce?: () => string;
  /** Told when an aggregator was reached that was not before. */
  readonly onFound: (aggregator: ParticipantId, through: 'address' | 'dht') => void;
}

/** What one of several aggregators is passed over for. */
const OUT_OF_REACH: readonly string[] = ['PEER_UNREACHABLE', 'PEER_SILENT', 'STREAM_CUT'];

export class AggregatorLink {
  readonly #components: AggregatorLinkComponents;
  readonly #headers: MessageHeaders;
  readonly #replay = new ReplayWindow();
  readonly #aggregators: ReadonlySet<ParticipantId>;
  #current: ParticipantId | undefined;
  /** The one whose finding was told. */
  #told: ParticipantId | undefined;
  /** Aggregators that stand by, are behind or silent, or have another history: passed over until all have been tried. */
  readonly #passed = new Set<ParticipantId>();

  constructor(components: AggregatorLinkComponents) {
    this.#components = components;
    this.#headers = new MessageHeaders(components.federation.hash, components.clock.now, components.nonce);
    this.#aggregators = new Set(components.federation.content.aggregators.map(({ id }) => id));
  }

  /** The aggregator that was reached last. */
  get current(): ParticipantId | undefined {
    return this.#current;
  }

  /** Goes on to the next aggregator of the manifest: this one stands by, say, or does not know the last rounds. */
  passOver(aggregator: ParticipantId): void {
    this.#passed.add(aggregator);
    if (this.#current === aggregator) this.#current = undefined;
    if (this.#passed.size === this.#aggregators.size) this.#passed.clear();
  }

  isAggregator(peer: ParticipantId): boolean {
    return this.#aggregators.has(peer);
  }

  /**
   * An aggregator of the manifest that answers: the one from before, else the manifest's in their order, else what
   * the DHT knows. It is held on to from then on. Throws FEDERATION_NOT_FOUND.
   */
  async locate(signal?: AbortSignal): Promise<ParticipantId> {
    const { federation, host } = this.#components;
    if (this.#current !== undefined && host.connectedPeers.includes(this.#current)) return this.#current;
    for (const { id, addresses } of federation.content.aggregators) {
      if (this.#passed.has(id)) continue;
      const known = id === this.#current || host.connectedPeers.includes(id);
      const targets = [...(known ? [id] : []), ...addresses.map((address) => withPeer(address, id))];
      for (const target of targets) {
        try {
          await this.#connect(target, signal);
        } catch (error) {
          if (signal?.aborted) throw error;
          continue; // the next address, and at last the DHT
        }
        host.hold(target);
        return this.#found({ id, through: 'address' });
      }
    }
    const { id, through } = await this.#search(signal);
    host.hold(id);
    return this.#found({ id, through });
  }

  /**
   * Asks the aggregator and returns what it signed in reply.
   *
   * @throws FEDERATION_NOT_FOUND; PEER_REFUSED and the other errors of `FederationClient`; what `openEnvelope` throws
   *   of a reply that cannot be believed
   */
  async ask<Type extends Request, Answer extends Reply>(
    type: Type,
    round: RoundNumber,
    body: RequestBody<Type>,
    answers: readonly Answer[],
    options: AskOptions = {},
  ): Promise<OpenedMessage<Answer>> {
    const { federation, identity, clock } = this.#components;
    const { bytes, hash } = await this.#exchange(type, round, body, options);
    return openEnvelope(
      bytes,
      {
        types: answers,
        federation: federation.hash,
        recipient: identity.id,
        request: hash,
        isMember: (sender) => sender === this.#current,
      },
      clock.now(),
      this.#replay,
    );
  }

  /** The envelope that answers a question for a receipt: a receipt, or a refusing acknowledgement. */
  async askForReceipt(round: RoundNumber, options: { readonly signal?: AbortSignal } = {}): Promise<Uint8Array> {
    return (await this.#exchange('receipt-query', round, {}, options)).bytes;
  }

  /** The update messages that a round's receipt lists; to be checked by their hashes. */
  async askForEvidence(round: RoundNumber, options: { readonly signal?: AbortSignal } = {}): Promise<Uint8Array[]> {
    const { client, federation } = this.#components;
    return client.evidence(await this.locate(options.signal), federation.hash, round, options);
  }

  /** The newest checkpoint of the log and the proof that it goes on from its first `size` receipts; to be checked. */
  async askForLog(
    size: number,
    options: { readonly signal?: AbortSignal } = {},
  ): Promise<{ readonly checkpoint: string; readonly proof: readonly Uint8Array[] }> {
    const { client, federation } = this.#components;
    return client.log(await this.locate(options.signal), federation.hash, size, options);
  }

  /** A list of revocations by its hash, or the newest; to be checked. */
  async askForRevocations(list: Sha256 | null, options: { readonly signal?: AbortSignal } = {}): Promise<Uint8Array> {
    const { client, federation } = this.#components;
    return client.revocations(await this.locate(options.signal), federation.hash, list, options);
  }

  /** Hands in a checkpoint that this node has cosigned. */
  async cosign(checkpoint: string, options: { readonly signal?: AbortSignal } = {}): Promise<void> {
    const { client, federation } = this.#components;
    await client.cosign(await this.locate(options.signal), federation.hash, checkpoint, options);
  }

  /** Reads an announcement. Throws what `openEnvelope` throws. */
  openAnnouncement(bytes: Uint8Array): OpenedMessage<'announcement'> {
    const { federation, identity, clock } = this.#components;
    return openEnvelope(
      bytes,
      {
        types: ['announcement'],
        federation: federation.hash,
        recipient: identity.id,
        isMember: (sender) => this.#aggregators.has(sender),
      },
      clock.now(),
      this.#replay,
    );
  }

  async #exchange<Type extends Request>(
    type: Type,
    round: RoundNumber,
    body: RequestBody<Type>,
    { signal, beforeSending }: AskOptions,
  ): Promise<{ bytes: Uint8Array; hash: Sha256 }> {
    const { identity } = this.#components;
    const aggregator = await this.locate(signal);
    const payload = { ...this.#headers.next(round), recipient: aggregator, ...body } as unknown as Payload<Type>;
    const sealed = sealMessage(identity, type as MessageType, payload);
    beforeSending?.(sealed);
    const { bytes, hash } = sealed;
    try {
      return { bytes: await this.#request(aggregator, bytes, type, signal), hash };
    } catch (error) {
      const away = isPrefmeshError(error) && OUT_OF_REACH.includes(error.code) && this.#aggregators.size > 1;
      if (away || isRefusal(error, 'AGGREGATOR_STANDS_BY')) this.passOver(aggregator);
      throw error;
    }
  }

  /** Where another can be asked, one that hangs is not waited for as long as for the only one there is. */
  async #request(id: ParticipantId, bytes: Uint8Array, type: Request, outer?: AbortSignal): Promise<Uint8Array> {
    const { client, clock } = this.#components;
    // An update is pulled and checked before it is answered.
    if (this.#aggregators.size === 1 || type === 'update')
      return client.request(id, bytes, outer ? { signal: outer } : {});
    const wait = LIMITS.answerWait.value;
    try {
      return await within(wait, outer, (signal) => client.request(id, bytes, { signal }), clock);
    } catch (error) {
      throw error instanceof DeadlineError
        ? new PrefmeshError('PEER_SILENT', { peer: id, wait, request: type })
        : error;
    }
  }

  /** A machine that hangs still takes connections, and says nothing on them. */
  async #connect(target: string, outer?: AbortSignal): Promise<void> {
    const { host, clock } = this.#components;
    if (this.#aggregators.size === 1) await host.connect(target, outer ? { signal: outer } : {});
    else await within(LIMITS.answerWait.value, outer, (signal) => host.connect(target, { signal }), clock);
  }

  #found({ id, through }: Located): ParticipantId {
    if (this.#told !== id) this.#components.onFound(id, through);
    this.#told = id;
    this.#current = id;
    return id;
  }

  /**
   * The first aggregator of the manifest to be had: one that the DHT gives for the federation and that answers, or one
   * that was held on to and is back. A short search, since the caller tries again, known addresses first.
   */
  async #search(signal?: AbortSignal): Promise<Located> {
    const seen: Seen = { problem: 'the network knows no peer that serves it', dialled: new Set() };
    const ways = [
      (each: AbortSignal) => this.#locateInDht(each, seen),
      (each: AbortSignal) => this.#comesBack(each, seen),
    ];
    try {
      const search = (either: AbortSignal) => firstOf(either, ways);
      return await within(LIMITS.locateWait.value, signal, search, this.#components.clock);
    } catch (error) {
      if (signal?.aborted) throw error;
      const { hash: federation } = this.#components.federation;
      throw new PrefmeshError('FEDERATION_NOT_FOUND', { federation, problem: seen.problem }, { cause: error });
    }
  }

  async #locateInDht(signal: AbortSignal, seen: Seen): Promise<Located> {
    const { host, providers } = this.#components;
    for await (const { id } of providers(signal)) {
      if (!this.#aggregators.has(id)) {
        seen.problem = `${id} says it serves it, and the manifest does not name it`;
        continue;
      }
      try {
        seen.dialled.add(id);
        await host.connect(id, { signal });
        return { id, through: 'dht' };
      } catch (error) {
        signal.throwIfAborted();
        seen.problem = error instanceof PrefmeshError ? error.message : String(error);
      }
    }
    throw signal.reason;
  }

  /** Resolves when the host has a connection to an aggregator, whoever made it. */
  async #comesBack(signal: AbortSignal, seen: Seen): Promise<Located> {
    const id = await this.#components.host.connection(this.#aggregators, signal);
    return { id, through: seen.dialled.has(id) ? 'dht' : 'address' };
  }
}

/**
 * The first result of several ways to get it, which all end when one has it, or when `outer` aborts.
 * Rejects with an AggregateError when all have failed.
 */
async function firstOf<T>(outer: AbortSignal, ways: readonly ((signal: AbortSignal) => Promise<T>)[]): Promise<T> {
  const controller = new AbortController();
  const stop = () => controller.abort(outer.reason);
  outer.addEventListener('abort', stop, { once: true });
  try {
    return await Promise.any(ways.map((way) => way(controller.signal)));
  } finally {
    outer.removeEventListener('abort', stop);
    controller.abort();
  }
}

/** An address that ends in the peer id, so that no other key may answer there. */
function withPeer(address: string, id: ParticipantId): string {
  return address.includes('/p2p/') ? address : `${address.replace(/\/$/, '')}/p2p/${id}`;
}
