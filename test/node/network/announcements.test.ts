import assert from 'node:assert/strict';
import { Announcements, type Verdict } from '../../../node/network/announcements.ts';
import type { Host } from '../../../node/network/host.ts';
import { LIMITS } from '../../../protocol/limits.ts';
import { sha256 } from '../../../protocol/names.ts';
import { eventOf, startHost } from './hosts.ts';

const FEDERATION = sha256(Buffer.from('a federation'));

/** Gossipsub's default threshold, below which nothing of a peer is read. */
const GRAYLIST = -80;

/** What is read and changed of the running service; its own type shows only the public face. */
interface GossipInternals {
  readonly score: { score(peer: string): number };
  readonly acceptFromWhitelist: Map<string, unknown>;
}

/** Who has heard what, and when. */
class Listener {
  readonly heard: string[] = [];
  readonly judged: string[] = [];
  #waiting: { readonly text: string; readonly resolve: () => void }[] = [];

  join(host: Host): Announcements {
    return new Announcements(host, {
      federation: FEDERATION,
      validate: (envelope) => {
        const text = Buffer.from(envelope).toString();
        this.judged.push(text);
        if (text.startsWith('throw')) throw new Error('cannot be read');
        return (['ignore', 'reject'] satisfies Verdict[]).find((verdict) => text.startsWith(verdict)) ?? 'accept';
      },
      onAnnouncement: (envelope) => {
        const text = Buffer.from(envelope).toString();
        this.heard.push(text);
        for (const { resolve } of this.#waiting.filter((waiting) => waiting.text === text)) resolve();
      },
    });
  }

  hears(text: string): Promise<void> {
    if (this.heard.includes(text)) return Promise.resolve();
    return new Promise((resolve) => this.#waiting.push({ text, resolve }));
  }
}

/** A hub and so many hosts around it, each joined to the topic and known to the hub. */
async function startStar(count: number) {
  const hub = await startHost({ role: 'aggregator' });
  const hubListener = new Listener();
  const hubAnnouncements = hubListener.join(hub);
  const rim: { host: Host; listener: Listener; announcements: Announcements }[] = [];
  for (let n = 0; n < count; n++) {
    const host = await startHost({ listen: [] });
    const listener = new Listener();
    const announcements = listener.join(host);
    const known = eventOf(hub.libp2p.services.gossip as EventTarget, 'subscription-change', () =>
      hubAnnouncements.listeners.includes(host.id),
    );
    const knows = eventOf(host.libp2p.services.gossip as EventTarget, 'subscription-change', () =>
      announcements.listeners.includes(hub.id),
    );
    host.hold(hub.addresses[0]!);
    await Promise.all([known, knows]);
    rim.push({ host, listener, announcements });
  }
  return {
    hub: { host: hub, listener: hubListener, announcements: hubAnnouncements },
    rim,
    [Symbol.asyncDispose]: async () => {
      await Promise.all([...rim.map(({ host }) => host.stop()), hub.stop()]);
    },
  };
}

describe('announcements', () => {
  it('reach everyone, from the hub and from the rim through the hub', async () => {
    await using star = await startStar(4);
    await star.hub.announcements.publish(Buffer.from('round 1 is open'));
    await star.rim[0]!.announcements.publish(Buffer.from('from the rim'));
    await Promise.all(star.rim.map(({ listener }) => listener.hears('round 1 is open')));
    await Promise.all([star.hub, ...star.rim.slice(1)].map(({ listener }) => listener.hears('from the rim')));
    assert.deepEqual(star.rim[0]!.listener.heard, ['round 1 is open'], 'nobody hears itself');
  });

  it('that are refused are neither heard nor passed on', async () => {
    await using star = await startStar(3);
    const [sender, ...others] = star.rim;
    for (const text of ['reject this', 'ignore this', 'throw at this']) {
      await sender!.announcements.publish(Buffer.from(text));
    }
    await sender!.announcements.publish(Buffer.from('a good one'));
    await Promise.all([star.hub, ...others].map(({ listener }) => listener.hears('a good one')));
    assert.equal(star.hub.listener.judged.length, 4);
    for (const { listener } of [star.hub, ...others]) assert.deepEqual(listener.heard, ['a good one']);
    for (const { listener } of others) assert.deepEqual(listener.judged, ['a good one']);
  });

  it('of a peer that keeps sending invalid ones are no longer looked at', async () => {
    await using star = await startStar(2);
    const [sender, other] = star.rim;
    for (const text of ['reject 1', 'reject 2', 'reject 3']) await sender!.announcements.publish(Buffer.from(text));
    const hub = star.hub.host.libp2p.services.gossip as unknown as GossipInternals;
    while (hub.score.score(sender!.host.id) >= GRAYLIST) await new Promise(setImmediate);
    hub.acceptFromWhitelist.clear(); // as if the second were over in which what a peer in good standing sends is read
    await sender!.announcements.publish(Buffer.from('too late to be good'));
    await other!.announcements.publish(Buffer.from('from another'));
    await star.hub.listener.hears('from another');
    assert.deepEqual(star.hub.listener.judged, ['reject 1', 'reject 2', 'reject 3', 'from another']);
  });

  it('longer than the bound are not sent', async () => {
    await using star = await startStar(1);
    const fits = Buffer.alloc(LIMITS.announcement.value, 'x');
    await star.hub.announcements.publish(fits);
    await star.rim[0]!.listener.hears(fits.toString());
    await assert.rejects(star.hub.announcements.publish(Buffer.alloc(LIMITS.announcement.value + 1)), {
      code: 'OVERSIZED',
    });
  });

  it('and those longer than a node accepts are refused where they arrive', async () => {
    await using star = await startStar(1);
    const { host, announcements } = star.rim[0]!;
    const [topic] = host.libp2p.services.gossip.getTopics();
    await host.libp2p.services.gossip.publish(topic!, Buffer.alloc(LIMITS.announcement.value + 1, 'x'));
    await announcements.publish(Buffer.from('a short one'));
    await star.hub.listener.hears('a short one');
    assert.deepEqual(star.hub.listener.heard, ['a short one']);
  });

  it('are heard by who joins the topic after it has connected', async () => {
    await using hub = await startHost({ role: 'aggregator' });
    using announcements = new Listener().join(hub);
    await using late = await startHost();
    // The hub tells its subscriptions as soon as it can send: this one finds nobody who wants to know.
    const hubCanSend = eventOf(late.libp2p.services.gossip as EventTarget, 'subscription-change');
    late.hold(hub.addresses[0]!);
    await hubCanSend;
    const known = eventOf(hub.libp2p.services.gossip as EventTarget, 'subscription-change', () =>
      announcements.listeners.includes(late.id),
    );
    const listener = new Listener();
    using _joined = listener.join(late);
    await known;
    await announcements.publish(Buffer.from('for latecomers too'));
    await listener.hears('for latecomers too');
  });

  it('cost nothing for topics that nobody here asked for', async () => {
    await using star = await startStar(1);
    const { gossip } = star.rim[0]!.host.libp2p.services;
    const [own] = gossip.getTopics();
    gossip.unsubscribe(own!);
    for (let n = 0; n < 2_000; n++) gossip.subscribe(`topic ${n}`);
    gossip.subscribe(own!);
    const hub = star.hub.host.libp2p.services.gossip;
    await eventOf(hub as EventTarget, 'subscription-change', () => star.hub.announcements.listeners.length === 1);
    const { topics } = hub as unknown as { topics: Map<string, unknown> };
    assert.deepEqual([...topics.keys()], [own]);
  });
});
