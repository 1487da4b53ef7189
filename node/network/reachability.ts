/**
 * How a peer is reached from here: tried by opening a stream that carries as much as one likes, which is what adapters
 * need. A relay that lets little through is found out that way, after the direct connection was given its time.
 */
import { isPrefmeshError } from '../../protocol/errors.ts';
import type { PeerAddress } from './addresses.ts';
import type { Host } from './host.ts';

/** `bytes`: how many a relay lets through; null where there is no such bound. */
export type Reach =
  | { readonly road: 'direct'; readonly address: PeerAddress }
  | { readonly road: 'relayed'; readonly address: PeerAddress; readonly bytes: number | null }
  | { readonly road: 'unreachable'; readonly problem: string; readonly fix: string };

/** Every libp2p node answers on it. */
const PING_PROTOCOL = '/ipfs/ping/1.0.0';

/**
 * The best road to one peer by any of its addresses; the first direct one ends the search.
 *
 * @param addresses of one peer; not empty
 */
export async function reachOf(
  host: Host,
  addresses: readonly PeerAddress[],
  { signal }: { readonly signal?: AbortSignal } = {},
): Promise<Reach> {
  let best: Reach | undefined;
  for (const address of addresses) {
    const reach = await tryAddress(host, address, signal);
    if (best === undefined || rank(reach) > rank(best)) best = reach;
    if (best.road === 'direct') break;
  }
  if (best === undefined) throw new RangeError('no address to try');
  return best;
}

async function tryAddress(host: Host, address: PeerAddress, signal: AbortSignal | undefined): Promise<Reach> {
  try {
    const { stream, peer } = await host.openStream(address, PING_PROTOCOL, signal ? { signal } : {});
    stream.abort(new Error('it opened, which is all that was asked'));
    return host.roadTo(peer)?.kind === 'relayed'
      ? { road: 'relayed', address, bytes: null }
      : { road: 'direct', address };
  } catch (error) {
    signal?.throwIfAborted();
    if (!isPrefmeshError(error)) throw error;
    if (isPrefmeshError(error, 'PEER_RELAYED')) {
      return { road: 'relayed', address, bytes: Number(error.details.bytes) };
    }
    return { road: 'unreachable', problem: error.message, fix: error.fix };
  }
}

function rank(reach: Reach): number {
  if (reach.road === 'unreachable') return 0;
  if (reach.road === 'direct') return 3;
  return reach.bytes === null ? 2 : 1;
}
