/**
 * Finding a federation's aggregator, knowing its id and one node of the network.
 *
 * The aggregator tells the DHT that it provides the federation's id; a newcomer asks the DHT who does. The answer is a
 * hint and no more: anybody may claim to provide anything. What makes it true is the manifest, whose hash is the id and
 * which names the aggregators' keys; `findFederation` goes on until a found peer has shown one that the caller accepts.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { PeerId } from '@libp2p/interface';
import type { Multiaddr } from '@multiformats/multiaddr';
import { CID } from 'multiformats/cid';
import * as raw from 'multiformats/codecs/raw';
import * as Digest from 'multiformats/hashes/digest';
import { sha256 } from 'multiformats/hashes/sha2';
import { type ExitCode, PrefmeshError, isPrefmeshError } from '../../protocol/errors.ts';
import type { ParticipantId } from '../../protocol/identity.ts';
import { LIMITS } from '../../protocol/limits.ts';
import type { Sha256 } from '../../protocol/names.ts';
import { asParticipant, peerIn } from './addresses.ts';
import { backoff, within } from './deadline.ts';
import type { FederationClient } from './federation/client.ts';
import type { Host } from './host.ts';
import { networkProblem } from './problem.ts';

/** The federation's id as a content id: raw bytes with this SHA-256, which is what a manifest is. */
export function federationContentId(federation: Sha256): CID {
  return CID.createV1(raw.code, Digest.create(sha256.code, Buffer.from(federation, 'hex')));
}

/** Errors of this kind may be gone the next time a peer is asked; all others are its answer. */
const NETWORK_TROUBLE: ExitCode = 4;

/** A peer that says it serves a federation. Believe nothing of it but that its key answers at its addresses. */
export interface PeerHint {
  readonly id: ParticipantId;
  /** Multiaddrs, possibly none: a peer id alone is looked up in the DHT when it is dialled. */
  readonly addresses: readonly string[];
}

/**
 * Keeps telling the DHT that this node serves a federation, until disposed: at once, whenever a peer connects (a
 * bootstrap node that restarted has forgotten), and from time to time, because records expire.
 */
export class Advertisement implements AsyncDisposable {
  readonly #host: Host;
  readonly #content: CID;
  readonly #stop = new AbortController();
  readonly #running: Promise<void>;
  #wake: () => void = () => undefined;

  constructor(host: Host, federation: Sha256) {
    this.#host = host;
    this.#content = federationContentId(federation);
    this.#running = this.#run();
  }

  async stop(): Promise<void> {
    this.#stop.abort();
    await this.#running;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }

  async #run(): Promise<void> {
    const { signal } = this.#stop;
    const { libp2p, log } = this.#host;
    const onPeer = () => this.#wake();
    libp2p.addEventListener('peer:identify', onPeer);
    try {
      while (!signal.aborted) {
        const woken = new Promise<void>((resolve) => (this.#wake = resolve));
        try {
          await within(LIMITS.provideWait.value, signal, (either) =>
            libp2p.contentRouting.provide(this.#content, { signal: either }),
          );
        } catch (error) {
          if (!signal.aborted) log.debug({ problem: networkProblem(error) }, 'federation not advertised');
        }
        await within(LIMITS.provideEvery.value, signal, () => woken).catch(() => undefined);
        await sleep(LIMITS.providePause.value, undefined, { signal }).catch(() => undefined);
      }
    } finally {
      libp2p.removeEventListener('peer:identify', onPeer);
    }
  }
}

/**
 * Peers that say they serve a federation, as the DHT names them. Asks again, with pauses, until the signal aborts, so
 * that a peer may come up more than once: what failed to answer the first time may answer the next.
 */
export async function* findProviders(host: Host, federation: Sha256, signal: AbortSignal): AsyncGenerator<PeerHint> {
  const content = federationContentId(federation);
  for (let attempt = 0; !signal.aborted; attempt++) {
    try {
      for await (const { id, multiaddrs } of host.libp2p.contentRouting.findProviders(content, { signal })) {
        const peer = asParticipant(id);
        if (peer === undefined || peer === host.id) continue;
        await host.libp2p.peerStore.merge(id, { multiaddrs });
        const addresses = new Set(multiaddrs.map((address) => withPeer(address, id)));
        yield { id: peer, addresses: [...addresses] };
      }
    } catch (error) {
      if (!signal.aborted) host.log.debug({ problem: networkProblem(error) }, 'providers not found yet');
    }
    const pause = backoff(attempt, LIMITS.discoveryRetryFirst.value, LIMITS.discoveryRetryLongest.value);
    await sleep(pause, undefined, { signal }).catch(() => undefined);
  }
}

function withPeer(address: Multiaddr, id: PeerId): string {
  return peerIn(address) === undefined ? `${address.toString()}/p2p/${id.toString()}` : address.toString();
}

export interface FindOptions<T> {
  /**
   * Looks at the manifest that a peer shows, and returns what is known from it, or throws when it is not to be
   * believed. This is where the hash is compared with the id, the signature checked, and the peer's id looked up among
   * the aggregators.
   */
  readonly accept: (manifest: Uint8Array, from: ParticipantId) => T | Promise<T>;
  /** How long to look (ms). */
  readonly wait?: number;
  readonly signal?: AbortSignal;
}

/**
 * Finds an aggregator of a federation through the DHT and returns what `accept` made of its manifest.
 * @throws FEDERATION_NOT_FOUND after `wait`, with the last reason why a found peer was not believed
 */
export async function findFederation<T>(
  host: Host,
  client: FederationClient,
  federation: Sha256,
  { accept, wait = LIMITS.discoveryWait.value, signal }: FindOptions<T>,
): Promise<{ readonly aggregator: PeerHint; readonly found: T }> {
  let problem = 'the network knows no peer that serves it';
  let cause: unknown;
  const disbelieved = new Set<ParticipantId>();
  try {
    return await within(wait, signal, async (either) => {
      for await (const aggregator of findProviders(host, federation, either)) {
        if (disbelieved.has(aggregator.id)) continue;
        try {
          const manifest = await client.manifest(aggregator.id, federation, { signal: either });
          return { aggregator, found: await accept(manifest, aggregator.id) };
        } catch (error) {
          if (either.aborted) throw error;
          cause = error;
          problem = isPrefmeshError(error) ? error.message : networkProblem(error);
          if (!isPrefmeshError(error) || error.exitCode !== NETWORK_TROUBLE) disbelieved.add(aggregator.id);
          host.log.debug({ from: aggregator.id, problem }, 'a provider was not believed');
        }
      }
      throw either.reason;
    });
  } catch (error) {
    if (signal?.aborted) throw error;
    throw new PrefmeshError('FEDERATION_NOT_FOUND', { federation, problem }, { cause: cause ?? error });
  }
}
