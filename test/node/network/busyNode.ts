// A host that blocks its event loop for eight seconds when told to, as a large computation on the main thread would.
import { once } from 'node:events';
import { FederationServer } from '../../../node/network/federation/server.ts';
import { startHost } from './hosts.ts';

const host = await startHost({ role: 'aggregator' });
await FederationServer.start(host, {
  manifest: () => Buffer.from('still here'),
  evidence: () => undefined,
  log: () => undefined,
  cosign: () => ({ checkpoint: '', proof: [] }),
  onMessage: () => Promise.reject(new Error('not asked here')),
});
process.stdout.write(`${host.addresses[0]}\n`);
await once(process.stdin, 'data');
const end = performance.now() + 8_000;
while (performance.now() < end);
setImmediate(() => process.stdout.write('was busy\n'));
