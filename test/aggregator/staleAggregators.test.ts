import assert from 'node:assert/strict';
import { openReceipt } from '../../protocol/receipt.ts';
import { killRunning } from './program.ts';
import { receiptsOf, TwoAggregators } from './twoAggregators.ts';

describe('of two aggregators', function () {
  this.timeout(600_000);
  afterEach(killRunning);

  it('the first, stopped in a round and woken when the second has ended it, publishes nothing', async () => {
    using both = await TwoAggregators.make({ participants: 3, rounds: 3, steps: 20, terms: { quorum: 3 } });
    const { fixture } = both;
    const first = both.start('aggregator');
    await first.until('took-over');
    const second = both.start('second');
    for (const name of fixture.names) await fixture.join(name);
    const [ada, ben, early] = fixture.names.map((name) => fixture.participant(name));
    await first.until('round-opened', ({ round }) => round === 2);
    await early!.kill(); // in its training, so that the round cannot end before the first is stopped
    await second.until('standing-by', ({ copied }) => copied === 1);
    await first.until('update-accepted', ({ round }) => round === 2);
    process.kill(first.pid, 'SIGSTOP');

    assert.equal((await second.until('took-over')).round, 2);
    const cleo = fixture.participant('cleo');
    await second.until('round-closed', ({ round }) => round === 2);
    process.kill(first.pid, 'SIGCONT');
    assert.deepEqual(await first.failure(), { code: 'STALE_AGGREGATOR', exit: 5 });
    const closed = first.events.filter(({ event }) => event === 'round-closed');
    assert.deepEqual(
      closed.map((event) => (event as { round: number }).round),
      [1],
    );

    for (const participant of [ada!, ben!, cleo]) assert.equal((await participant.until('finished')).rounds, 3);
    assert.equal(await second.exit, 0);
    assert.equal(receiptsOf(both.audit('aggregator')).length, 1);
    const signers = receiptsOf(both.audit('second')).map((receipt) => openReceipt(receipt).sender);
    assert.deepEqual(signers, [both.id.aggregator, both.id.second, both.id.second]);
  });

  it('the second, which has another history than the first, is found out by the first and by those who follow it', async () => {
    using both = await TwoAggregators.make({
      participants: 4,
      rounds: 3,
      steps: 20,
      terms: { quorum: 2, deadlines: { join: 1000, round: 120_000 } },
    });
    const { fixture } = both;
    const first = both.start('aggregator');
    await first.until('took-over');
    for (const name of fixture.names) await fixture.join(name);
    const [ada, ben] = [fixture.participant('ada'), fixture.participant('ben')];
    await ben.until('adopted');
    await ben.kill(); // so that the second round does not end
    await ada.until('adopted');
    await first.kill(); // before anybody has copied its log

    const second = both.start('second');
    assert.equal((await second.until('took-over')).round, 1);
    const [cleo, dana] = [fixture.participant('cleo'), fixture.participant('dana')];
    await second.until('round-opened', ({ round }) => round === 1);
    await dana.kill(); // in its training: the round goes on until it is back
    await ada.until('retrying', ({ code }) => code === 'AGGREGATOR_BEHIND');
    fixture.participant('dana');
    await second.until('round-closed', ({ round }) => round === 1);
    await cleo.until('adopted');
    await ada.until('retrying', ({ code }) => code === 'OTHER_HISTORY');

    const again = both.start('aggregator');
    assert.deepEqual(await again.failure(), { code: 'LOG_FORKED', exit: 5 });
    assert.match(again.stderr, new RegExp(both.id.second));
    await ada.kill();
    assert.equal(ada.events.filter(({ event }) => event === 'adopted').length, 1);
  });
});
