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
import { hasCause, networkProblem } from './problem.ts';

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
  /** Pause between pings on a connection (ms). */
  readonly pingEvery?: number;
  readonly log: Logger;
}

export type HostServices = { identify: Identify; ping: Ping; dht: KadDHT; gossip: GossipSub };

/** Takes an inbound stream. It owns the stream and settles when it is done with it. */
export type StreamHandler = (stream: Stream, from: ParticipantId) => Promise<void>;

export class Host implements AsyncDisposable {
  readonly id: ParticipantId;
  readonly log: Logger;
  /** For the neighbours in this folder; other rooms use the protocols' clients and servers. */
  readonly libp2p: Libp2p<HostServices>;
  readonly #anchors: Anchors;

  private constructor(id: ParticipantId, libp2p: Libp2p<HostServices>, log: Logger) {
    this.id = id;
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
    const host = new Host(identity.id, node, log);
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
   * @throws PEER_UNREACHABLE, PROTOCOL_UNSUPPORTED, ADDRESS_INVALID
   */
  async openStream(
    target: PeerAddress,
    protocol: string,
    { signal }: { readonly signal?: AbortSignal } = {},
  ): Promise<{ stream: Stream; peer: ParticipantId }> {
    const parsed = parsePeerAddress(target);
    return this.#reach(target, signal, async (either) => {
      const connection = this.#newestConnection(parsed) ?? (await this.libp2p.dial(parsed, { signal: either }));
      const stream = await connection.newStream(protocol, { signal: either, runOnLimitedConnection: false });
      return { stream, peer: participantOf(connection.remotePeer) };
    });
  }

  /** Serves a protocol until disposed. A handler that fails costs its own stream and nothing else. */
  async serve(protocol: string, handler: StreamHandler): Promise<AsyncDisposable> {
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
      { maxInboundStreams: LIMITS.protocolStreams.value, maxOutboundStreams: LIMITS.protocolStreams.value },
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
  #newestConnection(target: PeerId | Multiaddr): Connection | undefined {
    const name = nameOf(target);
    if (name === undefined) return undefined;
    return this.libp2p
      .getConnections()
      .filter((connection) => connection.remotePeer.toString() === name && connection.status === 'open')
      .filter((connection) => connection.limits === undefined)
      .toSorted((a, b) => b.timeline.open - a.timeline.open)[0];
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

async function createNode(identity: Identity, options: HostOptions, log: Logger): Promise<Libp2p<HostServices>> {
  const terms = preset(options.preset, options.role);
  const streams = LIMITS.protocolStreams.value;
  const listen = (options.listen ?? terms.listen).map((address) => parseListenAddress(address).toString());
  const announce = (options.announce ?? []).map((address) => parseListenAddress(address).toString());
  try {
    return await createLibp2p<HostServices>({
      privateKey: libp2pKey(identity),
      addresses: { listen, announce },
      transports: [tcp()],
      connectionEncrypters: [noise()],
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
        maxConnections: (options.role === 'aggregator' ? LIMITS.connectionsAggregator : LIMITS.connections).value,
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
