/**
 * Relays: how two peers meet of which neither can dial the other.
 *
 * Who listens on `/p2p-circuit` takes a place at a relay among its peers and is dialled through it. By default a relayed
 * connection carries 128 KiB within two minutes (libp2p circuit v2), enough to be introduced and for messages, and
 * nothing like an adapter: so messages may cross it, blobs never do, and whoever asks is told so at once instead of
 * after a cut. A relay that its owner opened without these bounds counts as a road like any other.
 */
import { autoNAT } from '@libp2p/autonat';
import { circuitRelayServer, circuitRelayTransport } from '@libp2p/circuit-relay-v2';
import type { Connection, PeerId } from '@libp2p/interface';
import { LIMITS } from '../../protocol/limits.ts';
import { withoutRandomWalk } from './randomWalk.ts';

/** What a relay lets through on each connection: `limited` is the default of libp2p. */
export type RelayBounds = 'limited' | 'unlimited';

/** What is read of the running transport; its own type shows only the public face. */
interface Internals {
  readonly reservationStore: {
    readonly relayFilter: { readonly remove?: (peer: Uint8Array) => boolean };
  };
}

/**
 * Lets a node dial through relays, and listen on them.
 *
 * libp2p never asks a relay again that failed it once, were it for a restart; here one that connects again is asked.
 */
export function relayTransport(): ReturnType<typeof circuitRelayTransport> {
  return (components) => {
    const asked = { has: (peer: PeerId) => askAgain(peer), add: () => {}, remove: () => {} };
    const init = { discoveryFilter: asked, reservationCompletionTimeout: LIMITS.dialWait.value };
    const transport = circuitRelayTransport(init)(withoutRandomWalk(components));
    const { reservationStore } = transport as unknown as Internals;
    function askAgain(peer: PeerId): false {
      reservationStore.relayFilter.remove?.(peer.toMultihash().bytes);
      return false;
    }
    return transport;
  };
}

/** Relays for others. */
export function relayService(bounds: RelayBounds): ReturnType<typeof circuitRelayServer> {
  return circuitRelayServer({
    reservations: {
      maxReservations: LIMITS.relayPlaces.value,
      applyDefaultLimit: bounds === 'limited',
      defaultDataLimit: BigInt(LIMITS.relayBytes.value),
      defaultDurationLimit: LIMITS.relayDuration.value,
    },
  });
}

/** How a connection goes: straight, or by a relay, with the bytes that it still lets through (null: any number). */
export type Road = { readonly kind: 'direct' } | { readonly kind: 'relayed'; readonly bytes: number | null };

export function roadOf({ remoteAddr, limits }: Pick<Connection, 'remoteAddr' | 'limits'>): Road {
  const relayed = limits !== undefined || remoteAddr.getComponents().some(({ name }) => name === 'p2p-circuit');
  // The time that is left is not told: implementations disagree whether it comes in seconds or in milliseconds.
  return relayed
    ? { kind: 'relayed', bytes: limits === undefined ? null : Number(limits.bytes ?? 0) }
    : { kind: 'direct' };
}

/** Asks peers to dial this node's addresses, so that only those are told to others which answered. */
export function addressCheck(): ReturnType<typeof autoNAT> {
  const service = autoNAT();
  return (components) => service(withoutRandomWalk(components));
}
