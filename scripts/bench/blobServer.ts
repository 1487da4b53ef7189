/**
 * The serving side of the blob benchmark, a process of its own: serves the blobs of a folder on loopback. With byte
 * counts as arguments it stands behind a proxy that cuts a connection after each of them.
 *
 * It says one line of JSON when it listens, and after every line of stdin one with what the proxy has counted.
 */
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { pino } from 'pino';
import { BlobServer } from '../../node/network/blob/server.ts';
import { Host } from '../../node/network/host.ts';
import { BlobStore } from '../../node/storage/blobs.ts';
import { identityFromSeed } from '../../protocol/identity.ts';
import { freePort, startProxy } from '../../test/node/network/proxy.ts';

const [folder, ...after] = process.argv.slice(2);
const port = await freePort();
await using proxy = await startProxy(port, { cut: { after: after.map(Number) } });
await using host = await Host.start(identityFromSeed(randomBytes(32)), {
  preset: 'local',
  role: 'aggregator',
  listen: [`/ip4/127.0.0.1/tcp/${port}`],
  ...(after.length > 0 && { announce: [proxy.address] }),
  log: pino({ level: 'silent' }),
});
await using server = await BlobServer.start({ host, store: await BlobStore.open(folder!) }, { mayRead: () => true });
process.stdout.write(`${JSON.stringify({ address: host.addresses[0] })}\n`);
const lines = createInterface(process.stdin);
lines.on('line', () => {
  process.stdout.write(`${JSON.stringify({ cuts: proxy.cuts(), sent: proxy.bytesToDialler() })}\n`);
});
await once(lines, 'close');
await server.stop();
