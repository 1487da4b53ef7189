import assert from 'node:assert/strict';
import { Host } from '../../node/network/host.ts';
import { joinFederation } from '../../node/participant/join.ts';
import { nodeStatus } from '../../node/participant/status.ts';
import { FederationFixture, MODEL, silent } from './federationFixture.ts';
import { identity } from '../protocol/exampleFederation.ts';
import { killRunning, run } from './program.ts';

describe('a federation that is found through one node of the network', function () {
  this.timeout(240_000);
  afterEach(killRunning);

  it('lets in who holds a ticket, once each, knowing no address of the aggregator', async () => {
    using fixture = await FederationFixture.make({
      participants: 2,
      rounds: 1,
      terms: { admission: { mode: 'invite', inviters: 'aggregators', guestsPerInviter: 5 }, maxParticipants: 3 },
    });
    await using meetingPoint = await Host.start(identity(50), { preset: 'local', role: 'aggregator', log: silent });
    const known = meetingPoint.addresses[0]!;
    const aggregator = fixture.aggregator('--bootstrap', known);
    await aggregator.until('listening');

    const home = fixture.path('aggregator');
    const invited = run('federation', 'invite', fixture.file, '--home', home, '--address', known, '--count', '2');
    const tickets = invited.map(({ ticket }) => String(ticket));
    const join = (name: string, ticket: string, pairs: string) =>
      joinFederation({
        home: fixture.path(name),
        source: ticket,
        pairs: fixture.pairs(pairs),
        consent: fixture.federation.hash,
        model: MODEL,
        network: 'local',
        log: silent,
        show: () => {},
      });
    await join('ada', tickets[0]!, 'ada');
    await join('ben', tickets[1]!, 'ben');
    await join('thief', tickets[0]!, 'ada');

    const ada = fixture.participant('ada');
    const { through } = await ada.until('aggregator-found');
    assert.equal(through, 'dht');
    await ada.until('member');
    const thief = fixture.participant('thief');
    assert.deepEqual(await thief.failure(), { code: 'JOIN_REFUSED', exit: 5 });
    assert.match(thief.stderr, /INVITE_USED/);

    // There is room for a third, so the round waits for one while these come and go.
    const ben = fixture.participant('ben');
    await ben.until('member');
    run('node', 'pause', '--home', fixture.path('ben'));
    const { participant } = await aggregator.until('left');
    await ben.until('paused');
    run('node', 'pause', '--home', fixture.path('ben'), '--resume');
    let joins = 0;
    await aggregator.until('joined', (event) => event.participant === participant && ++joins === 2);

    const [left] = run('node', 'leave', '--home', fixture.path('ben'));
    assert.equal(left!.aggregatorTold, 'by-running-node');
    await ben.until('left');
    assert.equal(await ben.exit, 0);
    const { federations } = await nodeStatus(fixture.path('ben'));
    assert.equal(federations[0]!.status, 'left');
  });
});
