import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { BlobClient } from '../../../node/network/blob/client.ts';
import { BlobServer } from '../../../node/network/blob/server.ts';
import { FederationClient } from '../../../node/network/federation/client.ts';
import { FederationServer } from '../../../node/network/federation/server.ts';
import { BlobStore } from '../../../node/storage/blobs.ts';
import { RandomStream } from '../../../node/training/randomStream.ts';
import { type Sha256, sha256 } from '../../../protocol/names.ts';
import { scratchFolder } from '../storage/scratch.ts';
import { startBehindProxy, startHost } from './hosts.ts';
import type { Proxy, ProxyOptions } from './proxy.ts';

const MiB = 1024 * 1024;
const SEED = 'cuts of the tests';

/** A blob at one host, another that wants it, and a bad network between them. */
async function startTransfer(bytes: Uint8Array, options: ProxyOptions) {
  await using stack = new AsyncDisposableStack();
  const scratch = stack.use(await scratchFolder());
  const { host, proxy } = stack.use(await startBehindProxy(options));
  const source = await BlobStore.open(`${scratch.path}/source`);
  const hash: Sha256 = await source.put(bytes);
  stack.use(await BlobServer.start({ host, store: source }, { mayRead: () => true }));
  const client = stack.use(await startHost({ listen: [] }));
  const store = await BlobStore.open(`${scratch.path}/store`);
  const fetch = () => new BlobClient({ host: client, store }).fetch(hash, { from: host.addresses });
  const owned = stack.move();
  return { hash, store, proxy, host, client, fetch, [Symbol.asyncDispose]: () => owned.disposeAsync() };
}

/** Lengths between cuts, so that `count` of them surely come before the end of `bytes`. */
function partsOf(bytes: number, count: number): number[] {
  const random = new RandomStream(SEED);
  return Array.from({ length: count }, () => Math.ceil((2 * random.uniform() * bytes) / (count + 1)) || 1).map((part) =>
    Math.min(part, bytes / count),
  );
}

describe('a blob over a bad network', function () {
  this.timeout(240_000);

  it('that cuts goes on from the last chunk: at most a fifth of it is sent twice', async () => {
    const bytes = randomBytes(48 * MiB);
    await using transfer = await startTransfer(bytes, { cut: { after: partsOf(bytes.length, 3) } });
    const { transferred, attempts } = await transfer.fetch();
    assert.deepEqual([transfer.proxy.cuts(), transferred, attempts], [3, bytes.length, 4]);
    const sent = transfer.proxy.bytesToDialler() / bytes.length;
    assert.ok(sent <= 1.2, `${sent} times the blob`);
    await transfer.store.verify(transfer.hash);
  });

  it('of 100 MB arrives whole through 20 cuts at random bytes, with at most a fifth of it sent twice', async () => {
    const bytes = randomBytes(100_000_000);
    await using transfer = await startTransfer(bytes, { cut: { after: partsOf(bytes.length, 20) } });
    const { transferred } = await transfer.fetch();
    assert.deepEqual([transfer.proxy.cuts(), transferred], [20, bytes.length]);
    const sent = transfer.proxy.bytesToDialler() / bytes.length;
    assert.ok(sent <= 1.2, `${sent} times the blob`);
    await transfer.store.verify(transfer.hash);
  });

  it('that cuts the way of the requests arrives as well', async () => {
    const bytes = randomBytes(6 * MiB);
    // A handshake takes 1 to 3 kB this way, and each chunk asked for less than 200 bytes.
    const after = [900, 2_000, 5_000, 8_000];
    await using transfer = await startTransfer(bytes, { cut: { after, towards: 'target' } });
    await transfer.fetch();
    assert.ok(transfer.proxy.cuts() >= 2, `${transfer.proxy.cuts()} cuts`);
    await transfer.store.verify(transfer.hash);
  });

  it('that is far away and narrow comes without a byte sent twice', async () => {
    const bytes = randomBytes(6 * MiB);
    await using transfer = await startTransfer(bytes, { delay: 40, bandwidth: 8 * MiB, piece: 16 * 1024 });
    const { transferred, attempts } = await transfer.fetch();
    assert.deepEqual([transferred, attempts], [bytes.length, 1]);
    assert.ok(transfer.proxy.bytesToDialler() < 1.02 * bytes.length);
    await transfer.store.verify(transfer.hash);
  });

  it('that dribbles, a few bytes at a time, comes whole', async () => {
    const bytes = randomBytes(200_000);
    await using transfer = await startTransfer(bytes, { piece: 7 });
    await transfer.fetch();
    await transfer.store.verify(transfer.hash);
  });

  it('that resets while it runs goes on', async () => {
    const bytes = randomBytes(24 * MiB);
    await using transfer = await startTransfer(bytes, {});
    let resets = 0;
    const { client, host, proxy, store, hash } = transfer;
    const result = await new BlobClient({ host: client, store }).fetch(hash, {
      from: host.addresses,
      onProgress: ({ received }) => {
        if (received < (resets + 1) * 6 * MiB || resets === 3) return;
        resets += 1;
        proxy.reset();
      },
    });
    assert.deepEqual([result.transferred, result.attempts], [bytes.length, 4]);
    await store.verify(hash);
  });
});

describe('a request over a bad network', function () {
  this.timeout(120_000);

  it('is answered over a line that is slow in both directions and dribbles', async () => {
    await using server = await startBehindProxy({ delay: 60, bandwidth: 64 * 1024, piece: 100 });
    await using client = await startHost({ listen: [] });
    const manifest = randomBytes(10_000);
    await using _door = await FederationServer.start(server.host, {
      manifest: () => manifest,
      evidence: () => undefined,
      log: () => undefined,
      cosign: () => assert.fail('not asked here'),
      onMessage: () => Promise.reject(new Error('not asked here')),
    });
    const answer = await new FederationClient(client).manifest(server.host.addresses[0]!, sha256(manifest));
    assert.ok(manifest.equals(answer));
    assertCounts(server.proxy);
  });
});

/** The proxy was really between them. */
function assertCounts(proxy: Proxy): void {
  assert.ok(proxy.bytesToDialler() > 10_000 && proxy.bytesToTarget() > 500);
}
