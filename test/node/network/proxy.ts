/**
 * A TCP proxy on loopback that does to connections what bad networks do: delay, a narrow line, dribbling, a cut without
 * a goodbye, a reset, a cable that was pulled and put back.
 */
import { type Socket, connect, createServer } from 'node:net';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';

export interface Proxy extends AsyncDisposable {
  /** Where the proxy listens, without a peer id. */
  readonly address: string;
  /** Bytes that went from the target to whoever dialled the proxy, over all connections. */
  readonly bytesToDialler: () => number;
  /** Bytes that went the other way. */
  readonly bytesToTarget: () => number;
  /** From now on nothing passes on the connections there are, and nobody is told: a cable that was pulled. */
  freeze(): void;
  /** As `freeze`, and new connections get no further than the proxy either, until `heal`. */
  part(): void;
  /** From now on so many bytes a second pass, in each direction of each connection; Infinity for all. */
  narrow(bandwidth: number): void;
  /** Ends what was frozen, without a goodbye, and lets new connections through. */
  heal(): void;
  /** Breaks every connection there is with a reset. */
  reset(): void;
  /** How many connections were cut. */
  readonly cuts: () => number;
}

export interface ProxyOptions {
  /**
   * Break connections, without a goodbye, one after the other: each when so many bytes have gone through it. The last
   * one after these lives.
   */
  readonly cut?: { readonly after: readonly number[]; readonly towards?: Direction };
  /** Milliseconds that every byte takes, in each direction. */
  readonly delay?: number;
  /** Bytes a second, in each direction of each connection. */
  readonly bandwidth?: number;
  /** Bytes that are passed on in one piece, at most. */
  readonly piece?: number;
}

type Direction = 'dialler' | 'target';

/** Bytes that wait in the proxy before the sender is held up. */
const QUEUE = 1024 * 1024;

/** Forwards to a TCP port of this machine, or of `host`. */
export async function startProxy(port: number, options: ProxyOptions = {}, host = '127.0.0.1'): Promise<Proxy> {
  const { cut, delay = 0, piece = Infinity } = options;
  const pace = { delay, bandwidth: options.bandwidth ?? Infinity, piece };
  const towards = cut?.towards ?? 'dialler';
  const total = { dialler: 0, target: 0 };
  const budgets = [...(cut?.after ?? [])];
  const links = new Set<Link>();
  let parted = false;
  let cuts = 0;

  const server = createServer({ allowHalfOpen: true }, (dialler) => {
    const target = connect({ port, host, allowHalfOpen: true });
    const link = new Link(dialler, target, () => links.delete(link));
    links.add(link);
    if (parted) return link.freeze();
    let budget = budgets[0] ?? Infinity;
    const passed = (direction: Direction, bytes: number): number => {
      const allowed = direction === towards ? Math.min(bytes, budget) : bytes;
      total[direction] += allowed;
      if (direction !== towards) return allowed;
      budget -= allowed;
      if (budget > 0) return allowed;
      budgets.shift();
      cuts += 1;
      budget = Infinity;
      setImmediate(() => link.reset());
      return allowed;
    };
    link.carry(target, dialler, pace, (bytes) => passed('dialler', bytes));
    link.carry(dialler, target, pace, (bytes) => passed('target', bytes));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    address: `/ip4/127.0.0.1/tcp/${(server.address() as AddressInfo).port}`,
    bytesToDialler: () => total.dialler,
    bytesToTarget: () => total.target,
    freeze: () => {
      for (const link of links) link.freeze();
    },
    part: () => {
      parted = true;
      for (const link of links) link.freeze();
    },
    narrow: (bandwidth) => (pace.bandwidth = bandwidth),
    heal: () => {
      parted = false;
      for (const link of links) if (link.frozen) link.reset();
    },
    reset: () => {
      for (const link of links) link.reset();
    },
    cuts: () => cuts,
    [Symbol.asyncDispose]: async () => {
      server.close();
      for (const link of links) link.destroy();
    },
  };
}

interface Pace {
  readonly delay: number;
  bandwidth: number;
  readonly piece: number;
}

/** The two sockets of one proxied connection. */
class Link {
  frozen = false;
  readonly #sockets: readonly [Socket, Socket];

  constructor(dialler: Socket, target: Socket, onEnd: () => void) {
    this.#sockets = [dialler.setNoDelay(true), target.setNoDelay(true)];
    for (const socket of this.#sockets) {
      socket.on('error', () => this.destroy());
      socket.on('close', () => {
        if (this.#sockets.every(({ destroyed }) => destroyed)) onEnd();
      });
    }
  }

  /** Passes on what comes, in its time. `allow` says how many of so many bytes still go through. */
  carry(from: Socket, to: Socket, pace: Pace, allow: (bytes: number) => number): void {
    const queue: { readonly bytes: Buffer; readonly due: number }[] = [];
    let waiting = 0;
    let running = false;
    let ended = false;
    const run = async (): Promise<void> => {
      running = true;
      for (let next = queue.shift(); next !== undefined && !this.frozen && !to.destroyed; next = queue.shift()) {
        const { bytes, due } = next;
        if (due > performance.now()) await sleep(due - performance.now());
        for (let at = 0; at < bytes.length && !this.frozen && !to.destroyed; at += pace.piece) {
          const part = bytes.subarray(at, Math.min(bytes.length, at + pace.piece));
          if (pace.bandwidth !== Infinity) await sleep((1000 * part.length) / pace.bandwidth);
          if (!to.write(part.subarray(0, allow(part.length)))) await Promise.race([once(to, 'drain'), closed(to)]);
        }
        waiting -= bytes.length;
        if (waiting <= QUEUE && !this.frozen) from.resume();
      }
      running = false;
      if (ended && !this.frozen) to.end();
    };
    from.on('data', (bytes: Buffer) => {
      if (this.frozen) return;
      queue.push({ bytes, due: performance.now() + pace.delay });
      waiting += bytes.length;
      if (waiting > QUEUE) from.pause();
      // Waiting for a socket fails when the other side resets it, as it may at any time.
      if (!running) run().catch(() => this.destroy());
    });
    from.on('end', () => {
      ended = true;
      if (!running && !this.frozen) to.end();
    });
  }

  freeze(): void {
    this.frozen = true;
    for (const socket of this.#sockets) socket.pause();
  }

  reset(): void {
    for (const socket of this.#sockets) socket.resetAndDestroy();
  }

  destroy(): void {
    for (const socket of this.#sockets) socket.destroy();
  }
}

async function closed(socket: Socket): Promise<void> {
  if (!socket.destroyed) await once(socket, 'close');
}

/** A TCP port of loopback that was free a moment ago. */
export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}
