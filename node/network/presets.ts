/**
 * Where a node lives, as one word instead of twenty settings.
 *
 * - `local`: this machine only. Tests and the demo: many nodes behind one address.
 * - `lan`: machines that reach each other directly, on private addresses.
 * - `internet`: participants only dial out. An aggregator listens, asks its peers whether its address can be dialled,
 *   and takes a place at a relay where one is known, so that it can be reached behind a router too; two peers that
 *   met through a relay try for a direct connection. `relay.ts` says what that is good for.
 */
import type { KadDHTInit } from '@libp2p/kad-dht';
import { passthroughMapper, removePrivateAddressesMapper } from '@libp2p/kad-dht';
import { LIMITS } from '../../protocol/limits.ts';

export const PRESET_NAMES = ['local', 'lan', 'internet'] as const;
export type PresetName = (typeof PRESET_NAMES)[number];

/** An aggregator is there for others; a relay joins those who cannot dial each other; a participant comes and goes. */
export type Role = 'aggregator' | 'relay' | 'participant';

/** Listen where any relay among the peers has a place. */
export const ANY_RELAY = '/p2p-circuit';

export interface Preset {
  /** Where to listen when nothing else is said; empty for a node that only dials out. */
  readonly listen: readonly string[];
  /**
   * Which addresses the DHT passes on. Its own default drops private ones, so that a DHT on a local network or on
   * loopback finds nothing at all.
   */
  readonly peerInfoMapper: NonNullable<KadDHTInit['peerInfoMapper']>;
  /**
   * A client uses the DHT without holding a part of it. Left to itself, a node becomes a server only when it sees a
   * public address of its own, so on private networks nobody would be one.
   */
  readonly dhtClient: boolean;
  /** New connections a second from one remote address; one address may be a whole household, or a whole test. */
  readonly connectionsPerHost: number;
  /** Whether gossip trusts several peers behind one address as much as peers apart. */
  readonly oneAddressManyPeers: boolean;
  /** Whether to ask peers what address can be dialled, and to try for a direct connection after meeting at a relay. */
  readonly traversal: boolean;
}

export function preset(name: PresetName, role: Role): Preset {
  switch (name) {
    case 'local':
      return {
        listen: ['/ip4/127.0.0.1/tcp/0'],
        peerInfoMapper: passthroughMapper,
        dhtClient: false,
        connectionsPerHost: LIMITS.connectionsPerHostLocal.value,
        oneAddressManyPeers: true,
        traversal: false,
      };
    case 'lan':
      return {
        listen: ['/ip4/0.0.0.0/tcp/0'],
        peerInfoMapper: passthroughMapper,
        dhtClient: false,
        connectionsPerHost: LIMITS.connectionsPerHost.value,
        oneAddressManyPeers: true,
        traversal: false,
      };
    case 'internet':
      return {
        listen: internetListen(role),
        peerInfoMapper: removePrivateAddressesMapper,
        dhtClient: role === 'participant',
        connectionsPerHost: LIMITS.connectionsPerHost.value,
        oneAddressManyPeers: false,
        traversal: true,
      };
  }
}

function internetListen(role: Role): readonly string[] {
  switch (role) {
    case 'aggregator':
      return ['/ip4/0.0.0.0/tcp/0', ANY_RELAY];
    case 'relay':
      return ['/ip4/0.0.0.0/tcp/0'];
    case 'participant':
      return [];
  }
}
