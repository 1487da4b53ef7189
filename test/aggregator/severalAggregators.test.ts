import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readdirSync, readFileSync } from 'node:fs';
import { createServer, type AddressInfo } from 'node:net';
import { join } from 'node:path';
import type { AggregatorEvent } from '../../aggregator/events.ts';
import { openReceipt } from '../../protocol/receipt.ts';
import { FederationFixture, MODEL } from './federationFixture.ts';
import { killRunning, Program, run } from './program.ts';

const ROUNDS = 3;

/** A port of this machine that nobody listens on now: a manifest names ports before anybody listens. */
async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}

describe('a federation with two aggregators, the first of which is killed in a round', function () {
  this.timeout(600_000);
  let fixture: FederationFixture;
  let first: Program<AggregatorEvent>;
  let second: Program<AggregatorEvent>;
  const homes = ['aggregator', 'second'] as const;
  const address: Record<string, string> = {};
  const id: Record<string, string> = {};

  function start(name: (typeof homes)[number]): Program<AggregatorEvent> {
    // prettier-ignore
    return new Program<AggregatorEvent>([
      'aggregator', 'start', '--home', fixture.path(name), '--federation', fixture.file, '--model', MODEL,
      '--evaluation-pairs', fixture.evaluationPairs, '--root-pairs', fixture.rootPairs, '--network', 'local',
      '--listen', address[name]!, '--take-over-after', '2s', '--exit-when-finished',
    ]);
  }

  before(async () => {
    for (const name of homes) address[name] = `/ip4/127.0.0.1/tcp/${await freePort()}`;
    fixture = await FederationFixture.make({
      participants: 3,
      rounds: ROUNDS,
      steps: 20,
      aggregators: ['second'],
      terms: { quorum: 3, serverOptimizer: { name: 'fedavgm', parameters: {} } },
      addresses: homes.map((name) => address[name]!),
    });
    for (const [n, name] of homes.entries()) id[name] = fixture.federation.content.aggregators[n]!.id;
    const [own] = run('aggregator', 'id', '--home', fixture.path('second'));
    assert.equal(own!['id'], id['second']);
    first = start('aggregator');
    await first.until('took-over');
    second = start('second');
    await second.until('standing-by');
  });
  after(() => {
    killRunning();
    fixture[Symbol.dispose]();
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
        [id['aggregator'], id['second']],
      );
    }
  });

  it('has one log, whose first round is signed by the one and whose other rounds by the other', () => {
    const out = fixture.path('audit');
    const common = ['--federation', fixture.file, '--out', out];
    run('aggregator', 'export', '--home', fixture.path('second'), ...common);
    const signers = readdirSync(join(out, 'receipts'))
      .sort()
      .map((name) => openReceipt(new Uint8Array(readFileSync(join(out, 'receipts', name)))).sender);
    assert.deepEqual(signers, [id['aggregator'], id['second'], id['second']]);
    const [report] = run('verify', out);
    assert.equal(report!['ok'], true);
    assert.deepEqual((report!['checked'] as { aggregates: number }).aggregates, ROUNDS);
  });

  it('gives the first, when it comes back, the rounds that it missed, and nothing to publish', async () => {
    second = start('second');
    await second.until('listening');
    // It has all rounds: whoever asks it hears that the federation is finished.
    await second.until('took-over');
    first = start('aggregator');
    const { copied, aggregator } = await first.until('standing-by');
    assert.deepEqual([copied, aggregator], [ROUNDS, id['second']]);
    await Promise.all([first.kill(), second.kill()]);
    const [one, other] = homes.map((name) => {
      const out = fixture.path(`audit of ${name}`);
      run('aggregator', 'export', '--home', fixture.path(name), '--federation', fixture.file, '--out', out);
      return readdirSync(join(out, 'receipts')).map((file) => readFileSync(join(out, 'receipts', file), 'hex'));
    });
    assert.deepEqual(one, other);
  });
});
