import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { AggregatorEvent } from '../../aggregator/events.ts';
import type { ParticipantEvent } from '../../node/participant/events.ts';
import type { RoundNumber } from '../../protocol/names.ts';
import { openReceipt } from '../../protocol/receipt.ts';
import { freePort, type Proxy, startProxy } from '../node/network/proxy.ts';
import { FederationFixture, type FixtureOptions } from './federationFixture.ts';
import { killRunning, Program, run } from './program.ts';

/** Nobody answers there, so nobody is reached past the proxy. */
const NOWHERE = '/ip4/127.0.0.1/tcp/1';

/** An aggregator, `near` participants that dial it, and `far` ones that have to pass the proxy. */
interface Parted extends AsyncDisposable {
  readonly fixture: FederationFixture;
  readonly proxy: Proxy;
  readonly aggregator: Program<AggregatorEvent>;
  readonly participants: ReadonlyMap<string, Program<ParticipantEvent>>;
}

async function start(
  options: FixtureOptions,
  far: readonly string[],
  { piece, words: more = [] }: { readonly piece?: number; readonly words?: readonly string[] } = {},
): Promise<Parted> {
  await using stack = new AsyncDisposableStack();
  const fixture = stack.use(await FederationFixture.make(options));
  const port = await freePort();
  const proxy = stack.use(await startProxy(port, piece === undefined ? {} : { piece }));
  const listen = `/ip4/127.0.0.1/tcp/${port}`;
  // It tells everybody the proxy's address, or those behind it would learn the other one.
  const words = fixture.aggregatorArguments('--listen', listen, '--announce', proxy.address, ...more);
  const aggregator = new Program<AggregatorEvent>(words);
  const { id } = await aggregator.until('listening');
  const participants = new Map<string, Program<ParticipantEvent>>();
  for (const name of fixture.names) {
    await fixture.join(name, `${far.includes(name) ? proxy.address : listen}/p2p/${id}`);
    participants.set(name, fixture.participant(name, '--announce', NOWHERE));
  }
  const owned = stack.move();
  return { fixture, proxy, aggregator, participants, [Symbol.asyncDispose]: () => owned.disposeAsync() };
}

function verified(participant: Program<ParticipantEvent>, round: number): boolean {
  return participant.events.some((event) => event.event === 'receipt-verified' && event.round === round);
}

/** What a participant holds for its history, receipt by receipt, and the adapter at its end. */
async function historyOf(participant: Program<ParticipantEvent>, rounds: number): Promise<unknown> {
  const { adapter } = await participant.until('finished');
  const receipts: string[] = [];
  for (let round = 1; round <= rounds; round++) {
    receipts.push((await participant.until('receipt-verified', (event) => event.round === round)).receipt);
  }
  await participant.until('log-checked', (event) => event.receipts === rounds);
  return { adapter, receipts };
}

describe('a federation over bad links', function () {
  this.timeout(300_000);
  afterEach(killRunning);

  it('closes a round at its deadline without the one whose link is too slow, and who then catches up', async () => {
    const deadlines = { join: 120_000, round: 15_000 };
    await using federation = await start({ participants: 3, rounds: 1, terms: { deadlines } }, ['cleo'], {
      piece: 64,
      words: ['--exit-when-finished'], // but not before cleo has what she missed
    });
    const { aggregator, proxy, participants } = federation;
    const cleo = participants.get('cleo')!;
    await cleo.until('training');
    proxy.narrow(20);
    const { blob } = await cleo.until('trained');
    const closed = await aggregator.until('round-closed');
    assert.deepEqual([closed.outcome, closed.updates], ['published', 2]);
    assert.ok(aggregator.events.every((event) => event.event !== 'update-accepted' || event.blob !== blob));
    assert.equal(verified(cleo, 1), false);

    proxy.narrow(Infinity);
    const histories = await Promise.all([...participants.values()].map((each) => historyOf(each, 1)));
    for (const history of histories) {
      assert.deepEqual(history, { adapter: closed.adapter, receipts: [closed.receipt] });
    }
  });

  it('has one history after it was parted in the middle of a round, with every update that was accepted', async () => {
    const rounds = 3;
    const terms = { deadlines: { join: 120_000, round: 20_000 } };
    await using federation = await start({ participants: 4, rounds, terms }, ['cleo', 'dana']);
    const { fixture, aggregator, proxy, participants } = federation;
    const [, ben, cleo, dana] = [...participants.values()] as Program<ParticipantEvent>[];
    await ben!.until('update-accepted', ({ round }) => round === 1);
    process.kill(ben!.pid, 'SIGSTOP'); // so that the next round is surely open when the link breaks
    const { blob } = await cleo!.until('update-accepted', ({ round }) => round === 2);
    proxy.part();
    process.kill(ben!.pid, 'SIGCONT');

    const closed = new Map<RoundNumber, Extract<AggregatorEvent, { event: 'round-closed' }>>();
    for (let round = 1 as RoundNumber; round <= rounds; round++) {
      closed.set(round as RoundNumber, await aggregator.until('round-closed', (event) => event.round === round));
    }
    const last = closed.get(rounds as RoundNumber)!;
    assert.deepEqual([last.outcome, last.updates], ['published', 2], 'those behind the dead link are in it');
    assert.deepEqual([verified(cleo!, 2), verified(dana!, 2)], [false, false]);
    proxy.heal();

    const histories = await Promise.all([...participants.values()].map((each) => historyOf(each, rounds)));
    for (const history of histories) {
      assert.deepEqual(history, {
        adapter: last.adapter,
        receipts: [...closed.values()].map(({ receipt }) => receipt),
      });
    }
    await aggregator.kill();
    const out = fixture.path('audit');
    run('aggregator', 'export', '--home', fixture.path('aggregator'), '--federation', fixture.file, '--out', out);
    const [report] = run('verify', out);
    assert.equal(report!['ok'], true);
    const acknowledged = aggregator.events.flatMap((event) => (event.event === 'update-accepted' ? [event.blob] : []));
    const names = readdirSync(join(out, 'receipts')).sort();
    const counted = names.flatMap((name) => {
      const { content } = openReceipt(new Uint8Array(readFileSync(join(out, 'receipts', name))));
      return content.updates.map((update) => update.blob);
    });
    assert.deepEqual(new Set(counted), new Set(acknowledged));
    assert.ok(counted.includes(blob));
  });
});
