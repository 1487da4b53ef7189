/** Reaching an aggregator, wherever it may listen. */
import type { Host } from '../node/network/host.ts';
import type { ParticipantId } from '../protocol/identity.ts';

/**
 * Connects to a key by the addresses that are known of it, in their order, and at last by what the network knows of it.
 * Throws what the last attempt threw.
 */
export async function dialAggregator(
  host: Pick<Host, 'connect'>,
  id: ParticipantId,
  addresses: readonly string[],
  signal: AbortSignal,
): Promise<void> {
  let problem: unknown;
  for (const target of [...addresses.map((address) => `${address.replace(/\/p2p\/.*$/, '')}/p2p/${id}`), id]) {
    try {
      await host.connect(target, { signal });
      return;
    } catch (error) {
      signal.throwIfAborted();
      problem = error;
    }
  }
  throw problem;
}
