/**
 * Anchors: the peers a node holds on to (bootstrap nodes, its aggregators).
 *
 * libp2p dials a bootstrap address once, and gives a lost peer up after a few attempts; a node that ran for a week
 * would then sit alone. Here each anchor is dialled until it answers, watched while it is connected, and dialled
 * again when it is lost, with growing pauses of random length so that many nodes do not return at the same moment.
 *
 * libp2p closes a connection on one missed ping, which a busy remote misses easily; the host switches that off, and
 * an anchor is dropped only after several missed in a row.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Connection, PeerId } from '@libp2p/interface';
import type { Multiaddr } from '@multiformats/multiaddr';
import type { Logger } from 'pino';
import { PrefmeshError } from '../../protocol/errors.ts';
import { LIMITS } from '../../protocol/limits.ts';
import { backoff, within } from './deadline.ts';
import { networkProblem } from './problem.ts';

/** What anchors need of libp2p. */
export interface AnchorNetwork {
  dial(target: PeerId | Multiaddr, options: { signal: AbortSignal }): Promise<Connection>;
  /** Resolves when the peer has answered. */
  ping(peer: PeerId, options: { signal: AbortSignal }): Promise<unknown>;
  /** Marks a connection as one to keep when there are too many. */
  protect(peer: PeerId): Promise<void>;
}

export interface AnchorsInit {
  /** Pause between pings of a connected anchor (ms). */
  readonly pingEvery?: number;
  /** How long an answer may take (ms). */
  readonly pingWait?: number;
}

export class Anchors {
  readonly #network: AnchorNetwork;
  readonly #pingEvery: number;
  readonly #pingWait: number;
  readonly #log: Logger;
  readonly #stop = new AbortController();
  readonly #problems = new Map<string, string>();
  readonly #loops: Promise<void>[] = [];
  readonly #first = Promise.withResolvers<void>();

  constructor(network: AnchorNetwork, log: Logger, init: AnchorsInit = {}) {
    this.#network = network;
    this.#pingEvery = init.pingEvery ?? LIMITS.anchorPingEvery.value;
    this.#pingWait = init.pingWait ?? LIMITS.anchorPingWait.value;
    this.#log = log;
  }

  /** Starts to hold on to a peer; adding one twice changes nothing. */
  add(target: PeerId | Multiaddr): void {
    const name = target.toString();
    if (this.#problems.has(name)) return;
    this.#problems.set(name, 'not tried yet');
    this.#loops.push(this.#hold(name, target));
  }

  /**
   * Resolves when one anchor is connected for the first time, at once when there is none.
   * @throws BOOTSTRAP_UNREACHABLE after `wait` ms; the attempts go on
   */
  async ready({
    wait = LIMITS.bootstrapWait.value,
    signal,
  }: { wait?: number; signal?: AbortSignal } = {}): Promise<void> {
    if (this.#problems.size === 0) return;
    try {
      await within(wait, signal, () => this.#first.promise);
    } catch (error) {
      if (signal?.aborted) throw error;
      const addresses = [...this.#problems.keys()].join(', ');
      const problem = [...new Set(this.#problems.values())].join('; ');
      throw new PrefmeshError('BOOTSTRAP_UNREACHABLE', { addresses, problem }, { cause: error });
    }
  }

  async stop(): Promise<void> {
    this.#stop.abort();
    await Promise.all(this.#loops);
  }

  async #hold(name: string, target: PeerId | Multiaddr): Promise<void> {
    const { signal } = this.#stop;
    let attempt = 0;
    while (!signal.aborted) {
      try {
        const dialWait = LIMITS.dialWait.value;
        const connection = await within(dialWait, signal, (either) => this.#network.dial(target, { signal: either }));
        await this.#network.protect(connection.remotePeer);
        this.#problems.set(name, 'connected');
        this.#first.resolve();
        this.#log.debug({ anchor: name }, 'anchor connected');
        attempt = 0;
        await this.#watch(connection);
        this.#log.debug({ anchor: name }, 'anchor lost');
      } catch (error) {
        if (signal.aborted) return;
        this.#problems.set(name, networkProblem(error));
        this.#log.debug({ anchor: name, problem: networkProblem(error), attempt }, 'anchor not reached');
      }
      const pause = backoff(attempt++, LIMITS.anchorRetryFirst.value, LIMITS.anchorRetryLongest.value);
      await sleep(pause, undefined, { signal }).catch(() => undefined);
    }
  }

  /** Returns when the connection is closed, or stays silent for several pings. */
  async #watch(connection: Connection): Promise<void> {
    const { signal } = this.#stop;
    const closed = Promise.withResolvers<void>();
    const onClose = () => closed.resolve();
    connection.addEventListener('close', onClose, { once: true });
    try {
      let missed = 0;
      while (connection.status === 'open' && !signal.aborted) {
        await within(this.#pingEvery, signal, () => closed.promise).catch(() => undefined);
        if (connection.status !== 'open' || signal.aborted) return;
        const answered = within(this.#pingWait, signal, (either) =>
          this.#network.ping(connection.remotePeer, { signal: either }),
        );
        missed = await answered.then(
          () => 0,
          () => missed + 1,
        );
        if (missed >= LIMITS.anchorPingsMissed.value) connection.abort(new Error('silent'));
      }
    } finally {
      connection.removeEventListener('close', onClose);
    }
  }
}
