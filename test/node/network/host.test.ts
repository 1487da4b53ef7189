import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { connect, createServer } from 'node:net';
import { generateKeyPair } from '@libp2p/crypto/keys';
import { identify } from '@libp2p/identify';
import { noise } from '@libp2p/noise';
import { ping } from '@libp2p/ping';
import { tcp } from '@libp2p/tcp';
import { yamux } from '@libp2p/yamux';
import { createLibp2p } from 'libp2p';
import { FederationClient } from '../../../node/network/federation/client.ts';
import { Frames } from '../../../node/network/frames.ts';
import { sha256 } from '../../../protocol/names.ts';
import { readSlowly } from './slowReader.ts';
import { freePort, startProxy } from './proxy.ts';
import { eventOf, newIdentity, startHost, startPair } from './hosts.ts';

const BUSY_NODE = new URL('./busyNode.ts', import.meta.url).pathname;
const MiB = 1024 * 1024;

describe('the host', () => {
  it('has the identity of the node, again after a restart', async () => {
    const identity = newIdentity();
    for (let start = 0; start < 2; start++) {
      await using host = await startHost({ identity });
      assert.equal(host.id, identity.id);
      assert.ok(host.addresses.every((address) => address.endsWith(`/p2p/${identity.id}`)));
    }
  });

  it('says that a port is in use and what to do about it', async () => {
    const other = createServer().listen(0, '127.0.0.1');
    await once(other, 'listening');
    const { port } = other.address() as { port: number };
    await assert.rejects(startHost({ listen: [`/ip4/127.0.0.1/tcp/${port}`] }), {
      code: 'PORT_BUSY',
      exitCode: 4,
      message: new RegExp(`tcp/${port}`),
      fix: /another/,
    });
    other.close();
  });

  it('says that an address is not one of this machine, or not one at all', async () => {
    await assert.rejects(startHost({ listen: ['/ip4/203.0.113.1/tcp/0'] }), {
      code: 'LISTEN_FAILED',
      message: /EADDRNOTAVAIL/,
    });
    await assert.rejects(startHost({ listen: ['localhost:80'] }), { code: 'ADDRESS_INVALID' });
    for (const address of ['nonsense', '/ip4/127.0.0.1/tcp/1/p2p/nonsense', '/ip4/300.0.0.1/tcp/1']) {
      await assert.rejects(startHost({ bootstrap: [address] }), { code: 'ADDRESS_INVALID', exitCode: 2 }, address);
    }
  });

  it('names the bootstrap address that nobody answers at, and why', async () => {
    const port = await freePort();
    await using host = await startHost({ bootstrap: [`/ip4/127.0.0.1/tcp/${port}`] });
    await assert.rejects(host.ready({ wait: 300 }), {
      code: 'BOOTSTRAP_UNREACHABLE',
      exitCode: 4,
      message: new RegExp(`/ip4/127.0.0.1/tcp/${port}.*connection refused`),
    });
  });

  it('reaches a bootstrap node that starts later than itself', async () => {
    const listen = [`/ip4/127.0.0.1/tcp/${await freePort()}`];
    await using host = await startHost({ bootstrap: listen });
    await assert.rejects(host.ready({ wait: 300 }), { code: 'BOOTSTRAP_UNREACHABLE' });
    await using _bootstrap = await startHost({ role: 'aggregator', listen });
    await host.ready();
  });

  it('does not wait for itself when it is on the list', async () => {
    const identity = newIdentity();
    const address = `/ip4/127.0.0.1/tcp/${await freePort()}`;
    await using host = await startHost({ identity, listen: [address], bootstrap: [`${address}/p2p/${identity.id}`] });
    await host.ready({ wait: 300 });
  });

  it('comes back to a bootstrap node that restarts, as many nodes do', async () => {
    const identity = newIdentity();
    const listen = [`/ip4/127.0.0.1/tcp/${await freePort()}`];
    const before = await startHost({ identity, role: 'aggregator', listen });
    const hosts = await Promise.all([1, 2, 3].map(() => startHost({ listen: [], bootstrap: before.addresses })));
    await Promise.all(hosts.map((host) => host.ready()));
    const lost = hosts.map((host) => eventOf(host.libp2p, 'peer:disconnect'));
    await before.stop();
    await Promise.all(lost);
    const back = hosts.map((host) => eventOf(host.libp2p, 'peer:connect', (peer) => String(peer) === identity.id));
    await using _after = await startHost({ identity, role: 'aggregator', listen });
    await Promise.all(back);
    await Promise.all(hosts.map((host) => host.stop()));
  });

  it('lets twenty nodes behind one address connect within a second', async () => {
    await using hub = await startHost({ role: 'aggregator' });
    const hosts = await Promise.all(Array.from({ length: 20 }, () => startHost({ listen: [] })));
    const answered = await Promise.all(hosts.map((host) => host.connect(hub.addresses[0]!)));
    assert.deepEqual(new Set(answered), new Set([hub.id]));
    await Promise.all(hosts.map((host) => host.stop()));
  });

  it('says why a peer cannot be reached, or what it does not offer', async () => {
    await using pair = await startPair();
    const { first, second } = pair;
    const stranger = newIdentity().id;
    await assert.rejects(second.openStream(`/ip4/127.0.0.1/tcp/${await freePort()}`, '/x'), {
      code: 'PEER_UNREACHABLE',
      message: /connection refused/,
    });
    await using alone = await startHost();
    await assert.rejects(alone.connect(first.addresses[0]!.replace(first.id, stranger)), {
      code: 'PEER_UNREACHABLE',
      message: /another peer answers there/,
    });
    await assert.rejects(second.openStream(first.id, '/prefmesh/unheard/1.0.0'), { code: 'PROTOCOL_UNSUPPORTED' });
  });

  it('outlives what is no libp2p at all', async () => {
    await using pair = await startPair();
    const { port } = /tcp\/(?<port>\d+)/.exec(pair.first.addresses[0]!)?.groups ?? {};
    for (const bytes of [Buffer.from('GET / HTTP/1.1\r\n\r\n'), randomBytes(100_000), Buffer.alloc(0)]) {
      const closed = Promise.withResolvers<void>();
      connect(Number(port), '127.0.0.1')
        .on('error', () => undefined)
        .on('close', closed.resolve)
        .resume()
        .end(bytes);
      await closed.promise;
    }
    await using other = await startHost();
    assert.equal(await other.connect(pair.first.addresses[0]!), pair.first.id);
  });

  it('says when one of the peers waited for is connected, whoever dialled, and stops waiting when told to', async () => {
    await using pair = await startPair();
    const { first, second } = pair;
    await using third = await startHost();
    const never = new AbortController();
    const waited = third.connection(new Set([second.id]), never.signal);
    await third.connect(first.addresses[0]!); // not the one
    await second.connect(third.addresses[0]!);
    assert.equal(await waited, second.id);
    assert.equal(await third.connection(new Set([second.id]), never.signal), second.id, 'at once, if it is there');
    const stopped = third.connection(new Set([newIdentity().id]), never.signal);
    never.abort(new Error('enough'));
    await assert.rejects(stopped, /enough/);
  });

  it('takes no notice of peers whose key is not Ed25519', async () => {
    await using host = await startHost({ role: 'aggregator' });
    const stranger = await createLibp2p({
      privateKey: await generateKeyPair('secp256k1'),
      transports: [tcp()],
      connectionEncrypters: [noise()],
      streamMuxers: [yamux()],
      services: { identify: identify(), ping: ping() },
    });
    const { multiaddr } = await import('@multiformats/multiaddr');
    await stranger.dial(multiaddr(host.addresses[0]!));
    assert.deepEqual(host.connectedPeers, []);
    await stranger.stop();
  });

  it('holds a part of the DHT in its role: participants on the internet do not', async () => {
    const modes = [];
    for (const [preset, role] of [
      ['local', 'participant'],
      ['lan', 'participant'],
      ['internet', 'aggregator'],
      ['internet', 'participant'],
    ] as const) {
      await using host = await startHost({ preset, role, listen: ['/ip4/127.0.0.1/tcp/0'] });
      modes.push(host.libp2p.services.dht.getMode());
    }
    assert.deepEqual(modes, ['server', 'server', 'server', 'client']);
  });

  it('uses the newer of two connections to a peer: the older may be dead', async () => {
    await using server = await startHost({ role: 'aggregator' });
    await using client = await startHost({ listen: [] });
    const { port } = /tcp\/(?<port>\d+)/.exec(server.addresses[0]!)?.groups ?? {};
    await using proxy = await startProxy(Number(port));
    const proxied = `${proxy.address}/p2p/${server.id}`;
    await client.connect(proxied);
    const { multiaddr } = await import('@multiformats/multiaddr');
    await client.libp2p.dial(multiaddr(server.addresses[0]!), { force: true });
    assert.equal(client.libp2p.getConnections().length, 2);
    const before = proxy.bytesToDialler();
    await using _door = await server.serve('/test/1', async (stream) => void stream.send(new Uint8Array(200_000)));
    const { stream } = await client.openStream(server.id, '/test/1');
    let received = 0;
    const all = Promise.withResolvers<void>();
    stream.addEventListener('message', ({ data }) => {
      received += data.byteLength;
      if (received === 200_000) all.resolve();
    });
    await all.promise;
    assert.ok(proxy.bytesToDialler() - before < 100_000);
  });
});

describe('a stream', () => {
  it('whose reader pauses holds its sender back and is not aborted', async () => {
    await using pair = await startPair();
    const total = 24 * MiB;
    let sent = 0;
    await using _door = await pair.first.serve('/test/bulk', async (stream, from) => {
      const frames = new Frames(stream, from, { maxFrame: 0 });
      const bytes = new Uint8Array(MiB);
      while (sent < total) {
        sent += bytes.length;
        await frames.write(bytes, { what: 'bulk', wait: 20_000 });
      }
      await frames.close({ wait: 20_000 });
    });
    const { stream } = await pair.second.openStream(pair.first.id, '/test/bulk');
    assert.ok((await readSlowly(stream, total, () => sent)) > total);
  });
});

function spawnBusyNode() {
  const child = spawn(process.execPath, [BUSY_NODE], { stdio: ['pipe', 'pipe', 'ignore'] });
  const exit = once(child, 'exit');
  return {
    child,
    [Symbol.asyncDispose]: async () => {
      child.kill('SIGKILL');
      await exit;
    },
  };
}

describe('a node that is busy for eight seconds', () => {
  it('keeps its connections', async function () {
    this.timeout(120_000);
    await using busy = spawnBusyNode();
    const { child } = busy;
    const [first] = (await once(child.stdout, 'data')) as [Buffer];
    await using host = await startHost({ bootstrap: [first.toString().trim()], pingEvery: 2_000 });
    await host.ready();
    const [connection] = host.libp2p.getConnections();
    const closed = eventOf(connection!, 'close').then(() => 'closed');
    child.stdin.write('be busy\n');
    const said = once(child.stdout, 'data').then(() => 'was busy');
    assert.equal(await Promise.race([said, closed]), 'was busy');
    const client = new FederationClient(host);
    const answer = await client.manifest(connection!.remotePeer.toString(), sha256(Buffer.from('anything')));
    assert.equal(Buffer.from(answer).toString(), 'still here');
    assert.equal(connection!.status, 'open');
    assert.deepEqual(host.libp2p.getConnections(), [connection]);
  });
});
