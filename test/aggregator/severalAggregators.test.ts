import assert from 'node:assert/strict';
import type { AggregatorEvent } from '../../aggregator/events.ts';
import { openReceipt } from '../../protocol/receipt.ts';
import type { FederationFixture } from './federationFixture.ts';
import { killRunning, run, type Program } from './program.ts';
import { HOMES, receiptsOf, TwoAggregators } from './twoAggregators.ts';

const ROUNDS = 3;

describe('a federation with two aggregators, the first of which is killed in a round', function () {
  this.timeout(600_000);
  let both: TwoAggregators;
  let fixture: FederationFixture;
  let first: Program<AggregatorEvent>;
  let second: Program<AggregatorEvent>;

  before(async () => {
    both = await TwoAggregators.make({
      participants: 3,
      rounds: ROUNDS,
      steps: 20,
      terms: { quorum: 3, serverOptimizer: { name: 'fedavgm', parameters: {} } },
    });
    ({ fixture } = both);
    const [own] = run('aggregator', 'id', '--home', fixture.path('second'));
    assert.equal(own!['id'], both.id.second);
    first = both.start('aggregator');
    await first.until('took-over');
    second = both.start('second');
    await second.until('standing-by');
  });
  after(() => {
    killRunning();
    both[Symbol.dispose]();
  });

  it('goes on with the second, from the log of the first, and ends with all participants', async () => {
    for (const name of fixture.names) await fixture.join(name);
    const participants = fixture.names.map((name) => fixture.participant(name));
    await first.until('round-opened', ({ round }) => round === 2);
    // Held back in its training, so that the round cannot end before the first is killed.
    process.kill(participants[2]!.pid, 'SIGSTOP');
    await second.until('standing-by', ({ copied }) => copied === 1);
    await first.until('update-accepted', ({ round }) => round === 2);
    await first.kill();
    process.kill(participants[2]!.pid, 'SIGCONT');

    assert.equal((await second.until('took-over')).round, 2);
    for (const participant of participants) {
      assert.equal((await participant.until('finished')).rounds, ROUNDS);
      assert.equal(await participant.exit, 0);
    }
    assert.equal(await second.exit, 0);
    for (const participant of participants) {
      const found = participant.events.filter(({ event }) => event === 'aggregator-found');
      assert.deepEqual(
        found.map((event) => (event as { aggregator: string }).aggregator),
        [both.id.aggregator, both.id.second],
      );
    }
  });

  it('has one log, whose first round is signed by the one and whose other rounds by the other', () => {
    const out = both.audit('second');
    const signers = receiptsOf(out).map((receipt) => openReceipt(receipt).sender);
    assert.deepEqual(signers, [both.id.aggregator, both.id.second, both.id.second]);
    const [report] = run('verify', out);
    assert.equal(report!['ok'], true);
    assert.deepEqual((report!['checked'] as { aggregates: number }).aggregates, ROUNDS);
  });

  it('gives the first, when it comes back, the rounds that it missed, and nothing to publish', async () => {
    second = both.start('second');
    await second.until('listening');
    // It has all rounds: whoever asks it hears that the federation is finished.
    await second.until('took-over');
    first = both.start('aggregator');
    const { copied, aggregator } = await first.until('standing-by');
    assert.deepEqual([copied, aggregator], [ROUNDS, both.id.second]);
    await Promise.all([first.kill(), second.kill()]);
    const [one, other] = HOMES.map((home) => receiptsOf(both.audit(home)));
    assert.deepEqual(one, other);
  });
});
