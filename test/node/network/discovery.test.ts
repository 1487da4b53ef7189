import assert from 'node:assert/strict';
import type { PeerId } from '@libp2p/interface';
import { Advertisement, federationContentId, findFederation } from '../../../node/network/discovery.ts';
import { FederationClient } from '../../../node/network/federation/client.ts';
import { FederationServer } from '../../../node/network/federation/server.ts';
import type { Host } from '../../../node/network/host.ts';
import { PrefmeshError } from '../../../protocol/errors.ts';
import { sha256 } from '../../../protocol/names.ts';
import { startHost } from './hosts.ts';

const MANIFEST = Buffer.from('the terms of a federation');
const FEDERATION = sha256(MANIFEST);

async function serveManifest(host: Host, manifest: Uint8Array): Promise<FederationServer> {
  return FederationServer.start(host, {
    manifest: () => manifest,
    evidence: () => undefined,
    log: () => undefined,
    cosign: () => ({ checkpoint: '', proof: [] }),
    onMessage: () => Promise.reject(new Error('not asked here')),
  });
}

/** Believes a manifest by its hash. */
function accept(manifest: Uint8Array): string {
  if (sha256(manifest) !== FEDERATION) {
    throw new PrefmeshError('WRONG_FEDERATION', { sender: 'the peer', federation: sha256(manifest) });
  }
  return Buffer.from(manifest).toString();
}

describe('discovery', () => {
  it('finds the aggregator among five nodes, knowing only the bootstrap address and the federation', async () => {
    await using bootstrap = await startHost({ role: 'aggregator' });
    await using aggregator = await startHost({ role: 'aggregator', bootstrap: bootstrap.addresses });
    await using _server = await serveManifest(aggregator, MANIFEST);
    await using _advertisement = new Advertisement(aggregator, FEDERATION);
    await using other = await startHost({ bootstrap: bootstrap.addresses });
    await using another = await startHost({ bootstrap: bootstrap.addresses });
    await using newcomer = await startHost({ bootstrap: bootstrap.addresses });
    await Promise.all([aggregator, other, another, newcomer].map((host) => host.ready()));
    assert.ok(!newcomer.connectedPeers.includes(aggregator.id));

    const client = new FederationClient(newcomer);
    const { aggregator: hint, found } = await findFederation(newcomer, client, FEDERATION, { accept });
    assert.equal(hint.id, aggregator.id);
    assert.equal(found, 'the terms of a federation');
    assert.ok(newcomer.connectedPeers.includes(aggregator.id));
    // Its default would have dropped these: private addresses survive in the DHT.
    assert.ok(
      hint.addresses.every((address) => address.startsWith('/ip4/127.0.0.1/')),
      String(hint.addresses),
    );
    assert.ok(hint.addresses.length > 0);
  });

  it('goes on past a peer that claims the federation and shows another manifest', async () => {
    await using bootstrap = await startHost({ role: 'aggregator' });
    await using liar = await startHost({ bootstrap: bootstrap.addresses });
    await using _lie = await serveManifest(liar, Buffer.from('other terms'));
    await using _claim = new Advertisement(liar, FEDERATION);
    await using newcomer = await startHost({ bootstrap: bootstrap.addresses });
    await Promise.all([liar.ready(), newcomer.ready()]);
    const client = new FederationClient(newcomer);
    const refused: string[] = [];
    const search = findFederation(newcomer, client, FEDERATION, {
      accept: (manifest, from) => {
        try {
          return accept(manifest);
        } catch (error) {
          refused.push(from);
          void startAggregator(); // comes up only when the lie was seen
          throw error;
        }
      },
    });
    let aggregator: Host | undefined;
    let running: AsyncDisposable[] = [];
    async function startAggregator() {
      aggregator = await startHost({ role: 'aggregator', bootstrap: bootstrap.addresses });
      running = [new Advertisement(aggregator, FEDERATION), await serveManifest(aggregator, MANIFEST), aggregator];
    }
    const { aggregator: hint } = await search;
    assert.deepEqual(refused, [liar.id]);
    assert.equal(hint.id, aggregator?.id);
    for (const part of running) await part[Symbol.asyncDispose]();
  });

  it('gives up in time, and says why the peer it found was not believed', async () => {
    await using bootstrap = await startHost({ role: 'aggregator' });
    await using liar = await startHost({ bootstrap: bootstrap.addresses });
    await using _lie = await serveManifest(liar, Buffer.from('other terms'));
    await using _claim = new Advertisement(liar, FEDERATION);
    await using newcomer = await startHost({ bootstrap: bootstrap.addresses });
    await Promise.all([liar.ready(), newcomer.ready()]);
    const client = new FederationClient(newcomer);
    const stop = new AbortController();
    const seen = Promise.withResolvers<void>();
    const unending = findFederation(newcomer, client, FEDERATION, {
      signal: stop.signal,
      accept: (manifest) => {
        seen.resolve();
        return accept(manifest);
      },
    });
    await seen.promise;
    stop.abort(new Error('seen'));
    await assert.rejects(unending, /seen/);
    // The liar is known and connected now, so this search asks it well within its time.
    await assert.rejects(findFederation(newcomer, client, FEDERATION, { wait: 2_000, accept }), {
      code: 'FEDERATION_NOT_FOUND',
      exitCode: 4,
      message: new RegExp(sha256(Buffer.from('other terms'))),
    });
  });

  it('ends when the caller says so', async () => {
    await using host = await startHost();
    const stop = new AbortController();
    const search = findFederation(host, new FederationClient(host), FEDERATION, { accept, signal: stop.signal });
    stop.abort(new Error('stopped by the user'));
    await assert.rejects(search, /stopped by the user/);
  });

  it('advertises again to a bootstrap node that has forgotten', async () => {
    const first = await startHost({ role: 'aggregator' });
    const [address] = first.addresses;
    const { hostname, port } = /ip4\/(?<hostname>[\d.]+)\/tcp\/(?<port>\d+)/.exec(address ?? '')?.groups ?? {};
    const listen = [`/ip4/${hostname}/tcp/${port}`];
    await using aggregator = await startHost({ role: 'aggregator', bootstrap: listen });
    await using _advertisement = new Advertisement(aggregator, FEDERATION);
    await aggregator.ready();
    await first.stop();
    await using second = await startHost({ role: 'aggregator', listen });
    // What the node itself holds, not what it can find out by asking the aggregator.
    const { providers } = second.libp2p.services.dht as unknown as {
      providers: { getProviders(content: unknown): Promise<readonly PeerId[]> };
    };
    let known: readonly PeerId[] = [];
    while (known.length === 0) {
      await new Promise(setImmediate);
      known = await providers.getProviders(federationContentId(FEDERATION));
    }
    assert.deepEqual(known.map(String), [aggregator.id]);
  });

  it('names a federation in the DHT by its own hash', () => {
    const { bytes } = federationContentId(FEDERATION).multihash;
    assert.equal(Buffer.from(bytes).toString('hex'), `1220${FEDERATION}`);
  });
});
