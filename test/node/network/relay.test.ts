import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { mkdtempDisposable } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { BlobClient } from '../../../node/network/blob/client.ts';
import { BlobServer } from '../../../node/network/blob/server.ts';
import { FederationClient } from '../../../node/network/federation/client.ts';
import { FederationServer } from '../../../node/network/federation/server.ts';
import type { Host } from '../../../node/network/host.ts';
import { ANY_RELAY } from '../../../node/network/presets.ts';
import type { RelayBounds } from '../../../node/network/relay.ts';
import { BlobStore } from '../../../node/storage/blobs.ts';
import { isPrefmeshError } from '../../../protocol/errors.ts';
import { sha256 } from '../../../protocol/names.ts';
import { Program } from '../../aggregator/program.ts';
import { eventOf, newIdentity, startHost } from './hosts.ts';
import { freePort } from './proxy.ts';

const MANIFEST = Buffer.from('a manifest, as far as this layer reads it');

/** A relay, a host that listens nowhere but there, and one that listens nowhere at all. */
async function startApart(
  relayBounds: RelayBounds,
): Promise<AsyncDisposable & { relay: Host; served: Host; asking: Host; address: string }> {
  await using stack = new AsyncDisposableStack();
  const relay = stack.use(await startHost({ role: 'relay', relayBounds }));
  const served = stack.use(await startHost({ role: 'aggregator', listen: [ANY_RELAY], bootstrap: relay.addresses }));
  await served.ready();
  const address = await relayedAddress(served);
  const asking = stack.use(await startHost({ listen: [] }));
  const owned = stack.move();
  return { relay, served, asking, address, [Symbol.asyncDispose]: () => owned.disposeAsync() };
}

/** The address at the relay, once the place there is taken. */
async function relayedAddress(host: Host): Promise<string> {
  const known = () => host.addresses.find((address) => address.includes('/p2p-circuit'));
  for (let address = known(); ; address = known()) {
    if (address !== undefined) return address;
    await changeOfAddress(host);
  }
}

function changeOfAddress(host: Host): Promise<unknown> {
  return eventOf(host.libp2p, 'self:peer:update');
}

describe('two peers of which neither can be dialled', function () {
  this.timeout(60_000);

  it('exchange messages through a relay, and are told at once that no adapter fits through it', async () => {
    await using folder = await mkdtempDisposable(join(tmpdir(), 'prefmesh-relay-'));
    await using apart = await startApart('limited');
    const { served, asking, address } = apart;
    assert.equal(
      served.addresses.every((each) => each.includes('/p2p-circuit')),
      true,
    );
    await using server = await FederationServer.start(served, {
      manifest: () => MANIFEST,
      evidence: () => undefined,
      log: () => undefined,
      cosign: () => assert.fail('not asked here'),
      onMessage: () => Promise.reject(new Error('not asked here')),
    });
    const reply = await new FederationClient(asking).manifest(address, sha256(MANIFEST));
    assert.deepEqual(Buffer.from(reply), MANIFEST);
    const road = asking.roadTo(served.id);
    assert.ok(road?.kind === 'relayed' && road.bytes !== null && road.bytes > 64 * 1024 && road.bytes < 128 * 1024);

    const source = await BlobStore.open(join(folder.path, 'source'));
    const hash = await source.put(randomBytes(1000));
    await using blobs = await BlobServer.start({ host: served, store: source }, { mayRead: () => true });
    const store = await BlobStore.open(join(folder.path, 'store'));
    await assert.rejects(
      new BlobClient({ host: asking, store }).fetch(hash, { from: [address] }),
      (error) => isPrefmeshError(error, 'PEER_RELAYED') && /lets \d{6} bytes through/.test(error.message),
    );
    assert.ok(server && blobs);
  });

  it('exchange blobs through a relay that its owner opened', async () => {
    await using folder = await mkdtempDisposable(join(tmpdir(), 'prefmesh-relay-'));
    await using apart = await startApart('unlimited');
    const { served, asking, address } = apart;
    const source = await BlobStore.open(join(folder.path, 'source'));
    const bytes = randomBytes(3_000_000);
    const hash = await source.put(bytes);
    await using blobs = await BlobServer.start({ host: served, store: source }, { mayRead: () => true });
    const store = await BlobStore.open(join(folder.path, 'store'));
    await new BlobClient({ host: asking, store }).fetch(hash, { from: [address] });
    assert.deepEqual(Buffer.from(await store.read(hash)), bytes);
    assert.deepEqual(asking.roadTo(served.id), { kind: 'relayed', bytes: null });
    assert.ok(blobs);
  });

  it('find each other again after the relay has restarted', async () => {
    const identity = newIdentity();
    const listen = [`/ip4/127.0.0.1/tcp/${await freePort()}`];
    await using relay = await startHost({ identity, role: 'relay', listen });
    await using served = await startHost({ role: 'aggregator', listen: [ANY_RELAY], bootstrap: relay.addresses });
    const address = await relayedAddress(served);
    await relay.stop();
    await using restarted = await startHost({ identity, role: 'relay', listen });
    await using asking = await startHost({ listen: [] });
    const reach = (): Promise<string> => asking.connect(address).catch(reach); // until the place there is taken again
    assert.equal(await reach(), served.id);
    assert.ok(restarted.connectedPeers.includes(served.id));
  });

  it('meet at the relay that the command starts, under the same name after a restart', async () => {
    await using folder = await mkdtempDisposable(join(tmpdir(), 'prefmesh-relay-'));
    const names = new Set<string>();
    for (let start = 0; start < 2; start++) {
      const relay = new Program<{ event: 'relaying'; id: string; addresses: string[]; unlimited: boolean }>([
        'relay',
        'start',
        '--home',
        folder.path,
        '--network',
        'local',
      ]);
      try {
        const { id, addresses, unlimited } = await relay.until('relaying');
        assert.equal(unlimited, false);
        names.add(id);
        await using served = await startHost({ role: 'aggregator', listen: [ANY_RELAY], bootstrap: addresses });
        await using asking = await startHost({ listen: [] });
        assert.equal(await asking.connect(await relayedAddress(served)), served.id);
      } finally {
        await relay.kill();
      }
    }
    assert.equal(names.size, 1);
  });
});
