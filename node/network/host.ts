/**
 * The libp2p host of a node: its identity on the network, its connections, and the doors that protocols hang on.
 *
 * TCP, noise, yamux; identify and ping; Kademlia under the project's own protocol name, so that these nodes never mix
 * with a public DHT; gossip for announcements. The settings that differ from libp2p's defaults each answer a failure
 * that was measured; the reasons stand beside them here, in `presets.ts`, and in the table of limits.
 *
 * @example
 * await using host = await Host.start(identity, { preset: 'local', role: 'participant', bootstrap: [address], log });
 * await host.ready();
 */
import { dcutr } from '@libp2p/dcutr';
import { type Identify, identify } from '@libp2p/identify';
import type { Connection, Libp2p, PeerId, Stream } from '@libp2p/interface';
import { isPeerId } from '@libp2p/interface';
import type { GossipSub } from '@libp2p/gossipsub';
import { type KadDHT, kadDHT } from '@libp2p/kad-dht';
import { noise } from '@libp2p/noise';
import { type Ping, ping } from '@libp2p/ping';
import { tcp } from '@libp2p/tcp';
import { yamux } from '@libp2p/yamux';
import type { Multiaddr } from '@multiformats/multiaddr';
import { createLibp2p } from 'libp2p';
import type { Logger } from 'pino';
import { PrefmeshError } from '../../protocol/errors.ts';
import type { Identity, ParticipantId } from '../../protocol/identity.ts';
import { LIMITS } from '../../protocol/limits.ts';
import {
  type PeerAddress,
  asParticipant,
  libp2pKey,
  parseListenAddress,
  parsePeerAddress,
  participantOf,
  peerIn,
} from './addresses.ts';
import { Anchors } from './anchors.ts';
import { within } from './deadline.ts';
import { gossipService } from './gossip.ts';
import { libp2pLogger } from './logger.ts';
import { type PresetName, type Role, preset } from './presets.ts';
import { noiseCiphers } from './noiseCiphers.ts';
import { hasCause, networkProblem } from './problem.ts';
import { type RelayBounds, type Road, addressCheck, relayService, relayTransport, roadOf } from './relay.ts';

export const DHT_PROTOCOL = '/prefmesh/kad/1.0.0';

export interface HostOptions {
  readonly preset: PresetName;
  readonly role: Role;
  /** Multiaddrs to listen on; default by preset. `tcp/0` takes any free port. */
  readonly listen?: readonly string[];
  /** Addresses to tell others instead of the ones found, for a node behind a forwarded port. */
  readonly announce?: readonly string[];
  /** Multiaddrs of nodes to enter the network by. They are dialled until they answer, and again when lost. */
  readonly bootstrap?: readonly string[];
  /** What a relay lets through on each connection (role `relay` alone). Default: `limited`. */
  readonly relayBounds?: RelayBounds;
  /** Pause between pings on a connection (ms). */
  readonly pingEvery?: number;
  readonly log: Logger;
}

export type HostServices = { identify: Identify; ping: Ping; dht: KadDHT; gossip: GossipSub };

export interface StreamOptions {
  readonly signal?: AbortSignal;
  /** Whether a relayed connection will do that lets little through. */
  readonly throughRelay?: boolean;
}

/** Takes an inbound stream. It owns the stream and settles when it is done with it. */
export type StreamHandler = (stream: Stream, from: ParticipantId) => Promise<void>;

export class Host implements AsyncDisposable {
  readonly id: ParticipantId;
  readonly log: Logger;
  /** For the neighbours in this folder; other rooms use the protocols' clients and servers. */
  readonly libp2p: Libp2p<HostServices>;
  readonly #anchors: Anchors;
  readonly #traversal: boolean;

  private constructor(id: ParticipantId, libp2p: Libp2p<HostServices>, log: Logger, traversal: boolean) {
    this.id = id;
    this.#traversal = traversal;
    this.log = log;
    this.libp2p = libp2p;
    this.#anchors = new Anchors(
      {
        dial: (target, options) => libp2p.dial(target, options),
        ping: (peer, options) => libp2p.services.ping.ping(peer, options),
        protect: async (peer) => {
          await libp2p.peerStore.merge(peer, { tags: { anchor: { value: 100 } } });
        },
      },
      log,
    );
  }

  /**
   * Starts listening and begins to dial the bootstrap addresses; `ready` waits for one of them.
   * @throws PORT_BUSY, LISTEN_FAILED, ADDRESS_INVALID
   */
  static async start(identity: Identity, options: HostOptions): Promise<Host> {
    const log = options.log.child({ peer: identity.id });
    const bootstrap = (options.bootstrap ?? []).map(parsePeerAddress);
    const node = await createNode(identity, options, log);
    const host = new Host(identity.id, node, log, preset(options.preset, options.role).traversal);
    for (const target of bootstrap) {
      if (nameOf(target) !== identity.id) host.#anchors.add(target); // a list of all aggregators names this one too
    }
    return host;
  }

  /** Multiaddrs that others can dial, each ending in this node's peer id. */
  get addresses(): string[] {
    return this.libp2p.getMultiaddrs().map(String);
  }

  get connectedPeers(): ParticipantId[] {
    return this.libp2p.getPeers().flatMap((peer) => asParticipant(peer) ?? []);
  }

  /** Waits until one of these peers is connected, whoever dialled, and says which. Throws the signal's reason. */
  async connection(peers: ReadonlySet<ParticipantId>, signal: AbortSignal): Promise<ParticipantId> {
    const { promise, resolve, reject } = Promise.withResolvers<ParticipantId>();
    const look = (): void => {
      const there = this.connectedPeers.find((peer) => peers.has(peer));
      if (there !== undefined) resolve(there);
    };
    const stop = (): void => reject(signal.reason);
    this.libp2p.addEventListener('peer:connect', look);
    signal.addEventListener('abort', stop, { once: true });
    try {
      signal.throwIfAborted();
      look();
      return await promise;
    } finally {
      this.libp2p.removeEventListener('peer:connect', look);
      signal.removeEventListener('abort', stop);
    }
  }

  /** Waits until one bootstrap node is connected. @throws BOOTSTRAP_UNREACHABLE after `wait` ms */
  async ready(options: { readonly wait?: number; readonly signal?: AbortSignal } = {}): Promise<void> {
    await this.#anchors.ready(options);
  }

  /** Keeps a connection to a peer from now on: dials it, and dials again when it is lost. @throws ADDRESS_INVALID */
  hold(target: PeerAddress): void {
    this.#anchors.add(parsePeerAddress(target));
  }

  /** Connects, if it is not, and says who answered. @throws PEER_UNREACHABLE, ADDRESS_INVALID */
  async connect(target: PeerAddress, { signal }: { readonly signal?: AbortSignal } = {}): Promise<ParticipantId> {
    const connection = await this.#reach(target, signal, (either) =>
      this.libp2p.dial(parsePeerAddress(target), { signal: either }),
    );
    return participantOf(connection.remotePeer);
  }

  /**
   * Opens a stream for a protocol to a peer, over a connection that is there (whoever dialled it) or a new one.
   * @throws PEER_UNREACHABLE, PROTOCOL_UNSUPPORTED, ADDRESS_INVALID; PEER_RELAYED where only a relay leads there that
   *   lets little through, unless `throughRelay`
   */
  async openStream(
    target: PeerAddress,
    protocol: string,
    { signal, throughRelay = false }: StreamOptions = {},
  ): Promise<{ stream: Stream; peer: ParticipantId }> {
    const parsed = parsePeerAddress(target);
    return this.#reach(target, signal, async (either) => {
      const known = this.#newestConnection(parsed, false) ?? (throughRelay && this.#newestConnection(parsed, true));
      const connection = known || (await this.#dialOrHear(parsed, either));
      if (connection.limits !== undefined && !throughRelay) throw relayedError(target, connection);
      const stream = await connection.newStream(protocol, { signal: either, runOnLimitedConnection: throughRelay });
      return { stream, peer: participantOf(connection.remotePeer) };
    });
  }

  /** How a peer is connected, the best road first; undefined while it is not. */
  roadTo(peer: ParticipantId): Road | undefined {
    const parsed = parsePeerAddress(peer);
    const connection = this.#newestConnection(parsed, false) ?? this.#newestConnection(parsed, true);
    return connection && roadOf(connection);
  }

  /** Serves a protocol until disposed. A handler that fails costs its own stream and nothing else. */
  async serve(
    protocol: string,
    handler: StreamHandler,
    { throughRelay = false }: Pick<StreamOptions, 'throughRelay'> = {},
  ): Promise<AsyncDisposable> {
    await this.libp2p.handle(
      protocol,
      async (stream, connection) => {
        try {
          await handler(stream, participantOf(connection.remotePeer));
        } catch (error) {
          this.log.debug(
            { protocol, from: connection.remotePeer.toString(), problem: networkProblem(error) },
            'stream failed',
          );
          stream.abort(error instanceof Error ? error : new Error('stream failed'));
        }
      },
      {
        maxInboundStreams: LIMITS.protocolStreams.value,
        maxOutboundStreams: LIMITS.protocolStreams.value,
        runOnLimitedConnection: throughRelay,
      },
    );
    return { [Symbol.asyncDispose]: () => this.libp2p.unhandle(protocol) };
  }

  async stop(): Promise<void> {
    await this.#anchors.stop();
    await this.libp2p.stop();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }

  /**
   * After a peer's network was cut and came back, a connection that nobody told us is dead may stand beside the new
   * one; the newest is the one that works.
   */
  #newestConnection(target: PeerId | Multiaddr, limited: boolean): Connection | undefined {
    const name = nameOf(target);
    if (name === undefined) return undefined;
    return this.libp2p
      .getConnections()
      .filter((connection) => connection.remotePeer.toString() === name && connection.status === 'open')
      .filter((connection) => (connection.limits !== undefined) === limited)
      .toSorted((a, b) => b.timeline.open - a.timeline.open)[0];
  }

  /**
   * A connection to a peer: a new one, or the one that is there by the time that nothing new can be had. A peer that was
   * reached through a relay may be dialling back, so it is given a while for a direct one.
   */
  async #dialOrHear(target: PeerId | Multiaddr, signal: AbortSignal): Promise<Connection> {
    let relayed: Connection;
    try {
      relayed = await this.libp2p.dial(target, { signal });
      if (relayed.limits === undefined || !this.#traversal) return relayed;
    } catch (error) {
      const known = this.#newestConnection(target, true);
      if (known === undefined) throw error;
      relayed = known;
    }
    const direct = Promise.withResolvers<Connection>();
    const onOpen = ({ detail }: CustomEvent<Connection>): void => {
      if (detail.limits === undefined && detail.remotePeer.equals(relayed.remotePeer)) direct.resolve(detail);
    };
    this.libp2p.addEventListener('connection:open', onOpen);
    try {
      return await within(LIMITS.holePunchWait.value, signal, () => direct.promise);
    } catch {
      signal.throwIfAborted();
      return relayed;
    } finally {
      this.libp2p.removeEventListener('connection:open', onOpen);
    }
  }

  async #reach<T>(
    target: PeerAddress,
    signal: AbortSignal | undefined,
    work: (signal: AbortSignal) => Promise<T>,
  ): Promise<T> {
    try {
      return await within(LIMITS.dialWait.value, signal, work);
    } catch (error) {
      if (signal?.aborted || error instanceof PrefmeshError) throw error;
      if (hasCause(error, 'UnsupportedProtocolError')) {
        throw new PrefmeshError('PROTOCOL_UNSUPPORTED', { peer: target }, { cause: error });
      }
      throw new PrefmeshError('PEER_UNREACHABLE', { peer: target, problem: networkProblem(error) }, { cause: error });
    }
  }
}

/** The peer id that a target is or ends in. */
function nameOf(target: PeerId | Multiaddr): string | undefined {
  return isPeerId(target) ? target.toString() : peerIn(target);
}

function relayedError(target: PeerAddress, { limits }: Connection): PrefmeshError<'PEER_RELAYED'> {
  const bytes = String(limits?.bytes ?? 0);
  return new PrefmeshError('PEER_RELAYED', { peer: target, bytes });
}

async function createNode(identity: Identity, options: HostOptions, log: Logger): Promise<Libp2p<HostServices>> {
  const terms = preset(options.preset, options.role);
  const streams = LIMITS.protocolStreams.value;
  const listen = (options.listen ?? terms.listen).map((address) => parseListenAddress(address).toString());
  const announce = (options.announce ?? []).map((address) => parseListenAddress(address).toString());
  try {
    return await createLibp2p<HostServices>({
      privateKey: libp2pKey(identity),
      addresses: { listen, announce },
      transports: [tcp(), relayTransport()],
      connectionEncrypters: [noise({ crypto: noiseCiphers })],
      streamMuxers: [
        yamux({
          maxInboundStreams: LIMITS.connectionStreams.value,
          maxOutboundStreams: LIMITS.connectionStreams.value,
          streamOptions: {
            // A window larger than the read buffer lets a sender that obeys the window overflow the buffer.
            maxStreamWindowSize: LIMITS.streamWindow.value,
            maxReadBufferLength: LIMITS.streamReadBuffer.value,
          },
        }),
      ],
      connectionManager: {
        maxConnections: (options.role === 'participant' ? LIMITS.connections : LIMITS.connectionsAggregator).value,
        inboundConnectionThreshold: terms.connectionsPerHost,
        maxIncomingPendingConnections: LIMITS.pendingConnections.value,
        // Its own bounds are 6 and 10 s, which a machine that trains with all its cores exceeds.
        dialTimeout: LIMITS.dialWait.value,
        addressDialTimeout: LIMITS.dialWait.value,
        inboundUpgradeTimeout: LIMITS.dialWait.value,
        inboundStreamProtocolNegotiationTimeout: LIMITS.dialWait.value,
        outboundStreamProtocolNegotiationTimeout: LIMITS.dialWait.value,
      },
      // A remote whose event loop is busy for seconds misses pings; its connection is worth more than a fast verdict.
      connectionMonitor: {
        abortConnectionOnPingFailure: false,
        pingInterval: options.pingEvery ?? LIMITS.connectionPingEvery.value,
      },
      services: {
        identify: identify(),
        // The monitor and the anchors use the same protocol; its own bound of one stream would let one starve the other.
        ping: ping({ maxInboundStreams: streams, maxOutboundStreams: streams }),
        dht: kadDHT({
          protocol: DHT_PROTOCOL,
          clientMode: terms.dhtClient,
          peerInfoMapper: terms.peerInfoMapper,
          allowQueryWithZeroPeers: true, // else a query before the first peer hangs until its signal
        }),
        gossip: gossipService(terms),
        ...(terms.traversal && { autonat: addressCheck(), dcutr: dcutr() }),
        ...(options.role === 'relay' && { relay: relayService(options.relayBounds ?? 'limited') }),
      },
      logger: libp2pLogger(log),
    });
  } catch (error) {
    if (!hasCause(error, 'UnsupportedListenAddressesError')) throw error;
    const addresses = listen.join(', ');
    // libp2p folds the socket's own error into the text of this one and keeps no cause.
    if (error instanceof Error && error.message.includes('EADDRINUSE')) {
      throw new PrefmeshError('PORT_BUSY', { addresses }, { cause: error });
    }
    const problem =
      /\b(E[A-Z]{4,})\b/.exec(error instanceof Error ? error.message : '')?.[1] ?? 'not an address for TCP';
    throw new PrefmeshError('LISTEN_FAILED', { addresses, problem }, { cause: error });
  }
}
