import assert from 'node:assert/strict';
import type { AggregatorEvent } from '../../aggregator/events.ts';
import type { ParticipantEvent } from '../../node/participant/events.ts';
import { NamespaceNetwork, whyNoNamespaces } from '../node/network/namespaces.ts';
import { FederationFixture, MODEL } from './federationFixture.ts';
import { killRunning, Program } from './program.ts';

const PORT = 4001;
const ROUNDS = 2;

describe('a federation of hosts in network namespaces', function () {
  this.timeout(300_000);
  afterEach(killRunning);

  it('goes on without the host whose cable was pulled, and has one history when it is back', async function () {
    const reason = whyNoNamespaces();
    if (reason !== undefined) {
      process.stderr.write(`      skipped: ${reason}\n`);
      return this.skip();
    }
    using network = new NamespaceNetwork(['hub', 'ada', 'ben', 'cleo']);
    const terms = { deadlines: { join: 120_000, round: 20_000 } };
    using fixture = await FederationFixture.make({ participants: 3, rounds: ROUNDS, terms });
    const listen = `/ip4/${network.address('hub')}/tcp/${PORT}`;
    const aggregator = new Program<AggregatorEvent>(
      [...fixture.aggregatorArguments('--listen', listen), '--network', 'lan'],
      {},
      network.launcher('hub'),
    );
    const { id } = await aggregator.until('listening');
    network.narrow('cleo', '2mbit');
    const participants: Program<ParticipantEvent>[] = [];
    for (const name of fixture.names) {
      const launcher = network.launcher(name);
      // prettier-ignore
      const joining = new Program([
        'node', 'join', fixture.file, '--home', fixture.path(name), '--pairs', fixture.pairs(name), '--model', MODEL,
        '--consent', fixture.federation.hash, '--network', 'lan', '--bootstrap', `${listen}/p2p/${id}`,
      ], {}, launcher);
      assert.equal(await joining.exit, 0, joining.stderr);
      const words = [...fixture.participantArguments(name, '--exit-when-finished'), '--network', 'lan'];
      participants.push(new Program<ParticipantEvent>(words, {}, launcher));
    }
    const [ada, ben, cleo] = participants as [
      Program<ParticipantEvent>,
      Program<ParticipantEvent>,
      Program<ParticipantEvent>,
    ];
    await ben.until('update-accepted', ({ round }) => round === 1);
    process.kill(ben.pid, 'SIGSTOP'); // so that the next round is surely open when the cable is pulled
    await ada.until('update-accepted', ({ round }) => round === 2);
    network.part('cleo');
    process.kill(ben.pid, 'SIGCONT');
    const last = await aggregator.until('round-closed', ({ round }) => round === ROUNDS);
    assert.equal(last.outcome, 'published');
    assert.ok(!cleo.events.some((event) => event.event === 'receipt-verified' && event.round === ROUNDS));
    network.heal('cleo');

    for (const participant of participants) {
      assert.equal((await participant.until('finished')).adapter, last.adapter);
      for (let round = 1; round <= ROUNDS; round++) {
        const { receipt } = await participant.until('receipt-verified', (event) => event.round === round);
        const closed = await aggregator.until('round-closed', (event) => event.round === round);
        assert.equal(receipt, closed.receipt);
      }
    }
  });
});
