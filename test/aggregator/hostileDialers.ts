/**
 * Dialers that mean harm, from one process: most of them bare sockets, which cost the attacker nothing, and some real
 * peers that send rubbish on every protocol. Each that is thrown out comes back.
 */
import { randomBytes } from 'node:crypto';
import { type Socket, connect } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { BLOB_PROTOCOL } from '../../node/network/blob/messages.ts';
import { FEDERATION_PROTOCOL } from '../../node/network/federation/messages.ts';
import type { Host } from '../../node/network/host.ts';
import { startHost } from '../node/network/hosts.ts';

/** What a dialer says; then it holds the line. */
const OPENINGS: readonly (() => Uint8Array)[] = [
  () => new Uint8Array(),
  () => Buffer.from('GET / HTTP/1.1\r\n\r\n'),
  () => randomBytes(100_000),
  // The beginning of libp2p's negotiation, and no more.
  () => Buffer.from('\x13/multistream/1.0.0\n'),
  // The same, and a noise handshake of garbage.
  () => Buffer.concat([Buffer.from('\x13/multistream/1.0.0\n\x07/noise\n'), Buffer.of(1, 0), randomBytes(256)]),
];

/** Milliseconds before one that was thrown out dials again. */
const PAUSE = 500;

/** Milliseconds between the streams of a real peer, since attacker and victim share a processor here. */
const BETWEEN_STREAMS = 50;

export class HostileDialers implements AsyncDisposable {
  /** Connections tried so far. */
  dialled = 0;
  /** Streams of rubbish sent by the real peers so far. */
  streams = 0;
  readonly #sockets = new Set<Socket>();
  readonly #timers = new Set<NodeJS.Timeout>();
  readonly #peers: Host[] = [];
  readonly #floods: Promise<void>[] = [];
  #stopped = false;

  /** @param address of the victim, ending in its peer id */
  static async start(address: string, { sockets, peers }: { sockets: number; peers: number }): Promise<HostileDialers> {
    const dialers = new HostileDialers();
    const port = Number(/tcp\/(\d+)/.exec(address)![1]);
    for (let n = 0; n < sockets; n++) dialers.#dial(port, OPENINGS[n % OPENINGS.length]!);
    for (let n = 0; n < peers; n++) {
      const host = await startHost({ listen: [] });
      dialers.#peers.push(host);
      dialers.#floods.push(dialers.#flood(host, address));
    }
    return dialers;
  }

  #dial(port: number, opening: () => Uint8Array): void {
    this.dialled += 1;
    const socket = connect(port, '127.0.0.1', () => socket.write(opening()));
    this.#sockets.add(socket);
    socket.on('error', () => undefined).resume();
    socket.on('close', () => {
      this.#sockets.delete(socket);
      if (this.#stopped) return;
      const timer = setTimeout(() => {
        this.#timers.delete(timer);
        this.#dial(port, opening);
      }, PAUSE);
      this.#timers.add(timer);
    });
  }

  /** Stream after stream with rubbish in it, none of them waiting for an answer or closed. */
  async #flood(host: Host, address: string): Promise<void> {
    while (!this.#stopped) {
      for (const protocol of [FEDERATION_PROTOCOL, BLOB_PROTOCOL]) {
        try {
          const { stream } = await host.openStream(address, protocol);
          stream.send(randomBytes(60_000));
          this.streams += 1;
        } catch {
          // Thrown out, or over its share of streams.
        }
      }
      await sleep(BETWEEN_STREAMS);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stopped = true;
    for (const timer of this.#timers) clearTimeout(timer);
    for (const socket of this.#sockets) socket.destroy();
    await Promise.all(this.#peers.map((peer) => peer.stop()));
    await Promise.all(this.#floods);
  }
}
