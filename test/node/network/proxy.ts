import { type Socket, connect, createServer } from 'node:net';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';

/** A TCP proxy on loopback that can break connections as a bad network does. */
export interface Proxy extends AsyncDisposable {
  /** Where the proxy listens, without a peer id. */
  readonly address: string;
  /** Bytes that went from the target to whoever dialled the proxy, over all connections. */
  readonly bytesToDialler: () => number;
  /** From now on nothing passes on the connections there are, and nobody is told: a cable that was pulled. */
  freeze(): void;
  /** How many connections were cut. */
  readonly cuts: () => number;
}

export interface ProxyOptions {
  /** Break the first `times` connections, without a goodbye, when `bytes` have gone to the dialler. */
  readonly cut?: { readonly times: number; readonly bytes: number };
}

/** Forwards to a TCP port of this machine. */
export async function startProxy(port: number, { cut }: ProxyOptions = {}): Promise<Proxy> {
  const sockets = new Set<Socket>();
  let total = 0;
  let cuts = 0;
  const server = createServer((dialler) => {
    let budget = cut === undefined ? Infinity : cut.bytes;
    const upstream = connect(port, '127.0.0.1');
    const drop = () => {
      for (const socket of [dialler, upstream]) {
        sockets.delete(socket);
        socket.destroy();
      }
    };
    for (const socket of [dialler, upstream]) sockets.add(socket.on('error', drop).on('close', drop));
    dialler.pipe(upstream);
    upstream.on('data', (bytes) => {
      total += bytes.length;
      budget -= bytes.length;
      if (budget <= 0 && cuts < (cut?.times ?? 0)) {
        cuts += 1;
        dialler.resetAndDestroy();
        upstream.resetAndDestroy();
        return;
      }
      if (!dialler.write(bytes)) {
        upstream.pause();
        dialler.once('drain', () => upstream.resume());
      }
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    address: `/ip4/127.0.0.1/tcp/${(server.address() as AddressInfo).port}`,
    bytesToDialler: () => total,
    freeze: () => {
      for (const socket of sockets) socket.removeAllListeners('data').unpipe().pause();
    },
    cuts: () => cuts,
    [Symbol.asyncDispose]: async () => {
      server.close();
      for (const socket of sockets) socket.destroy();
    },
  };
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
