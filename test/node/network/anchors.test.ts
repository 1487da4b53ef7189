import assert from 'node:assert/strict';
import { type Multiaddr, multiaddr } from '@multiformats/multiaddr';
import { Anchors } from '../../../node/network/anchors.ts';
import { eventOf, log, startBehindProxy, startHost } from './hosts.ts';

describe('an anchor', () => {
  it('that falls silent without a goodbye is dropped after three missed pings and dialled again', async () => {
    await using server = await startBehindProxy();
    await using host = await startHost({ listen: [] });
    const { libp2p } = host;
    const anchors = new Anchors(
      {
        dial: (target, options) => libp2p.dial(target, options),
        ping: (peer, options) => libp2p.services.ping.ping(peer, options),
        protect: async () => undefined,
      },
      log,
      { pingEvery: 20, pingWait: 300 },
    );
    anchors.add(multiaddr(server.host.addresses[0]!));
    await anchors.ready();
    const [before] = libp2p.getConnections();
    const dropped = eventOf(before!, 'close');
    const dialledAgain = eventOf(libp2p, 'connection:open');
    server.proxy.freeze();
    await dropped;
    await dialledAgain;
    await anchors.stop();
  });

  it('that missed one or two pings keeps its connection', async () => {
    await using server = await startHost({ role: 'aggregator' });
    await using host = await startHost({ listen: [] });
    const { libp2p } = host;
    let pings = 0;
    const answered = Promise.withResolvers<void>();
    const anchors = new Anchors(
      {
        dial: (target, options) => libp2p.dial(target, options),
        ping: async () => {
          pings += 1;
          if (pings % 3 !== 0) throw new Error('lost');
          if (pings === 12) answered.resolve();
        },
        protect: async () => undefined,
      },
      log,
      { pingEvery: 1, pingWait: 300 },
    );
    anchors.add(multiaddr(server.addresses[0]!));
    await anchors.ready();
    const [connection] = libp2p.getConnections();
    await answered.promise;
    assert.equal(connection!.status, 'open');
    await anchors.stop();
  });

  it('is held once, however often it is named', async () => {
    const dials: string[] = [];
    const anchors = new Anchors(
      {
        dial: (target) => {
          dials.push(target.toString());
          return new Promise(() => undefined);
        },
        ping: async () => undefined,
        protect: async () => undefined,
      },
      log,
    );
    const address: Multiaddr = multiaddr('/ip4/127.0.0.1/tcp/1');
    anchors.add(address);
    anchors.add(address);
    await anchors.stop();
    assert.deepEqual(dials, [address.toString()]);
  });
});
