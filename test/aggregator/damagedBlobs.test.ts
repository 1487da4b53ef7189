import assert from 'node:assert/strict';
import { readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { FederationFixture } from './federationFixture.ts';
import { killRunning } from './program.ts';

/** Flips a bit in the middle of a file. */
function flip(file: string): void {
  const bytes = readFileSync(file);
  bytes[bytes.length >> 1]! ^= 1;
  writeFileSync(file, bytes);
}

/** The adapter of the only round of two participants; `between` is done while ada's update is in and nobody runs. */
async function adapterOf(between?: (fixture: FederationFixture, update: string) => void): Promise<string> {
  using fixture = await FederationFixture.make({ participants: 2, rounds: 1, steps: 1 });
  const first = fixture.aggregator();
  const address = (await first.until('listening')).addresses[0]!;
  for (const name of fixture.names) await fixture.join(name, address);
  const ben = fixture.participant('ben');
  await first.until('joined');
  await ben.kill(); // the round waits for him
  const ada = fixture.participant('ada');
  const { blob } = await ada.until('update-accepted');
  await first.kill();
  await ada.kill();
  between?.(fixture, blob);
  const aggregator = fixture.aggregator('--listen', address.replace(/\/p2p\/.*$/, ''));
  const participants = fixture.names.map((name) => fixture.participant(name));
  const { adapter } = await aggregator.until('round-closed');
  for (const participant of participants) {
    assert.equal((await participant.until('finished')).adapter, adapter);
  }
  for (const { exit } of [aggregator, ...participants]) assert.equal(await exit, 0);
  return adapter;
}

describe('an aggregator whose blobs were damaged while it was dead', function () {
  this.timeout(240_000);
  afterEach(killRunning);

  it('sets them aside, asks the sender of an update again and makes the initial adapter again', async () => {
    const sound = await adapterOf();
    const mended = await adapterOf((fixture, update) => {
      const blobs = join(fixture.path('aggregator'), 'blobs');
      const damaged = readdirSync(blobs).filter((name) => /^[0-9a-f]{64}$/.test(name));
      assert.ok(damaged.includes(update));
      assert.ok(damaged.length >= 2, 'the initial adapter and the update');
      for (const name of damaged) flip(join(blobs, name));
      writeFileSync(join(blobs, `${'ab'.repeat(32)}.part`), 'half of a blob that somebody else sent');
    });
    assert.equal(mended, sound);
  });

  it('gets the adapter that a round starts from back from those who adopted it', async () => {
    using fixture = await FederationFixture.make({ participants: 2, rounds: 3, steps: 20 });
    const first = fixture.aggregator();
    const address = (await first.until('listening')).addresses[0]!;
    for (const name of fixture.names) await fixture.join(name, address);
    const participants = fixture.names.map((name) => fixture.participant(name));
    const { adapter } = await participants[0]!.until('adopted');
    await first.kill();
    flip(join(fixture.path('aggregator'), 'blobs', adapter));
    const aggregator = fixture.aggregator('--listen', address.replace(/\/p2p\/.*$/, ''));
    const finished = await Promise.all(participants.map((participant) => participant.until('finished')));
    assert.equal(finished[0]!.adapter, finished[1]!.adapter);
    for (const { exit } of [aggregator, ...participants]) assert.equal(await exit, 0);
    const blobs = readdirSync(join(fixture.path('aggregator'), 'blobs', 'quarantine'));
    assert.ok(
      blobs.some((name) => name.startsWith(adapter)),
      'the damaged copy was set aside',
    );
  });
});
