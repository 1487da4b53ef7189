import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import type { AggregatorEvent } from '../../aggregator/events.ts';
import { openCheckpoint } from '../../node/model/checkpoint.ts';
import type { ParticipantEvent } from '../../node/participant/events.ts';
import { nodeStatus } from '../../node/participant/status.ts';
import { readPeftAdapter } from '../../node/training/peft.ts';
import { FederationFixture, MODEL } from './federationFixture.ts';
import { killRunning, type Program } from './program.ts';

/** Starts the aggregator and, joined by its address, everybody. */
async function startAll(fixture: FederationFixture) {
  const aggregator = fixture.aggregator();
  const address = await addressOf(aggregator);
  for (const name of fixture.names) await fixture.join(name, address);
  return { aggregator, address, participants: fixture.names.map((name) => fixture.participant(name)) };
}

async function addressOf(aggregator: Program<AggregatorEvent>): Promise<string> {
  return (await aggregator.until('listening')).addresses[0]!;
}

/** The port of an address, to come back at the same place after a crash. */
function listenAddress(address: string): string {
  return address.replace(/\/p2p\/.*$/, '');
}

/** The adapters of rounds 1 and 2, once both are closed. */
async function adaptersOf(aggregator: Program<AggregatorEvent>): Promise<string[]> {
  const closed = [1, 2].map((round) => aggregator.until('round-closed', (event) => event.round === round));
  return (await Promise.all(closed)).map(({ adapter }) => adapter);
}

async function exitCodes(programs: readonly { readonly exit: Promise<number | null> }[]): Promise<(number | null)[]> {
  return Promise.all(programs.map(({ exit }) => exit));
}

function count(participant: Program<ParticipantEvent>, kind: ParticipantEvent['event']): number {
  return participant.events.filter(({ event }) => event === kind).length;
}

describe('a federation of processes', function () {
  this.timeout(240_000);
  afterEach(killRunning);

  /** What three participants make of two rounds when nothing disturbs them. */
  let undisturbed: string[] = [];

  it('closes its rounds, and all participants hold the same verified adapter', async () => {
    using fixture = await FederationFixture.make({ participants: 3 });
    const { aggregator, participants } = await startAll(fixture);
    const finished = await Promise.all(participants.map((participant) => participant.until('finished')));
    undisturbed = await adaptersOf(aggregator);
    assert.deepEqual(await exitCodes([aggregator, ...participants]), [0, 0, 0, 0]);
    assert.deepEqual(
      finished.map(({ adapter }) => adapter),
      [undisturbed[1], undisturbed[1], undisturbed[1]],
    );

    const rounds = aggregator.events.filter((event) => event.event === 'round-closed');
    assert.deepEqual(
      rounds.map(({ outcome, factor, updates }) => ({ outcome, factor, updates })),
      [
        { outcome: 'published', factor: 'B', updates: 3 },
        { outcome: 'published', factor: 'A', updates: 3 },
      ],
    );
    assert.deepEqual(Object.keys(rounds[1]!.byTaste), ['informal', 'concise']);
    for (const participant of participants) {
      const verified = await participant.until('receipt-verified', ({ round }) => round === 2);
      assert.equal(verified.checked.aggregates, 1, 'the round was not recomputed');
      // The reference is the base in every round: were it the adapter of the round before, round 2 would begin as round 1.
      const [first, second] = [1, 2].map((round) =>
        participant.events.find((event) => event.event === 'step' && event.round === round && event.step === 1),
      );
      assert.ok(first?.event === 'step' && second?.event === 'step');
      assert.ok(Math.abs(first['rewards/margins']) < 1e-6 && Math.abs(first.loss - Math.LN2) < 1e-6);
      assert.ok(Math.abs(second['rewards/margins']) > 1e-4 && Math.abs(second.loss - Math.LN2) > 1e-5);
    }

    const { federations } = await nodeStatus(fixture.path('ada'));
    const { verifiedRound, adapter, folder, updates } = federations[0]!;
    assert.deepEqual([verifiedRound, adapter], [2, undisturbed[1]]);
    assert.deepEqual(
      updates.map(({ status }) => status),
      ['accepted', 'accepted'],
    );
    const { config, hash } = await openCheckpoint(MODEL);
    assert.equal((await readPeftAdapter(folder!, config)).baseHash, hash);
  });

  it('goes on with the same rounds, to the same adapter, after kill -9 of a participant and of the aggregator', async () => {
    using fixture = await FederationFixture.make({ participants: 3 });
    const { aggregator, address, participants } = await startAll(fixture);
    const [ada, ben, cleo] = participants as [
      Program<ParticipantEvent>,
      Program<ParticipantEvent>,
      Program<ParticipantEvent>,
    ];
    // The last update is held back until both have been killed, so that the round is surely still open.
    await cleo.until('member');
    await cleo.kill();
    await ada.until('update-accepted', ({ round }) => round === 1);
    await ada.kill();
    await aggregator.until('update-accepted');
    await ben.until('update-accepted', ({ round }) => round === 1);
    await aggregator.kill();

    const again = fixture.aggregator('--listen', listenAddress(address));
    const { round, phase } = await again.until('listening');
    assert.deepEqual([round, phase], [1, 'collecting']);
    const adaAgain = fixture.participant('ada');
    const cleoAgain = fixture.participant('cleo');
    assert.deepEqual(await adaptersOf(again), undisturbed);
    const finished = await Promise.all([adaAgain, ben, cleoAgain].map((each) => each.until('finished')));
    assert.deepEqual(new Set(finished.map(({ adapter }) => adapter)), new Set([undisturbed[1]]));
    assert.equal(
      adaAgain.events.filter((event) => event.event === 'training' && event.round === 1).length,
      0,
      'what was acknowledged was trained again',
    );
    assert.deepEqual(await exitCodes([again, adaAgain, ben, cleoAgain]), [0, 0, 0, 0]);
  });

  it('offers the update that it has on disk after a kill before the acknowledgement, and trains none anew', async () => {
    using fixture = await FederationFixture.make({ participants: 2, rounds: 1, steps: 60 });
    const { aggregator, address, participants } = await startAll(fixture);
    const [ada, ben] = participants as [Program<ParticipantEvent>, Program<ParticipantEvent>];
    await Promise.all([ada, ben].map((each) => each.until('training')));
    await aggregator.kill();
    // Without its aggregator it trains to the end and can tell nobody.
    const { blob } = await ada.until('trained');
    await ada.until('retrying');
    await ada.kill();

    const again = fixture.aggregator('--listen', listenAddress(address));
    await again.until('listening');
    const adaAgain = fixture.participant('ada');
    const resumed = await adaAgain.until('resumed');
    assert.equal(resumed.blob, blob);
    const accepted = await again.until('update-accepted', (event) => event.blob === blob);
    assert.equal(accepted.round, 1);
    await Promise.all([adaAgain.until('finished'), ben.until('finished')]);
    assert.equal(count(adaAgain, 'trained'), 0);
  });

  it('closes a round at its deadline without the one that died', async () => {
    using fixture = await FederationFixture.make({
      participants: 3,
      rounds: 1,
      terms: { deadlines: { join: 120_000, round: 15_000 } },
    });
    const { aggregator, participants } = await startAll(fixture);
    await participants[2]!.until('member');
    await participants[2]!.kill();
    const closed = await aggregator.until('round-closed');
    assert.deepEqual([closed.outcome, closed.updates], ['published', 2]);
    const survivors = participants.slice(0, 2);
    const finished = await Promise.all(survivors.map((each) => each.until('finished')));
    assert.deepEqual(new Set(finished.map(({ adapter }) => adapter)), new Set([closed.adapter]));
    for (const { folder } of finished) assert.ok(existsSync(folder!));
  });
});
