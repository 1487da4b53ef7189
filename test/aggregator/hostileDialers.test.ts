import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { FederationFixture } from './federationFixture.ts';
import { HostileDialers } from './hostileDialers.ts';
import { killRunning } from './program.ts';

/** The most memory that a process ever held, in MiB. */
function peakMemory(pid: number): number {
  return Number(/^VmHWM:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))![1]) / 1024;
}

describe('an aggregator that 500 dialers mean harm', function () {
  this.timeout(240_000);
  after(killRunning);

  it('lets members in and closes its rounds meanwhile, and holds less than 512 MB', async function () {
    if (process.platform !== 'linux') {
      this.test!.title += ' (skipped: this system has no /proc to read the memory of a process from)';
      this.skip();
    }
    using fixture = await FederationFixture.make({ participants: 2, rounds: 2 });
    const aggregator = fixture.aggregator();
    const address = (await aggregator.until('listening')).addresses[0]!;
    await aggregator.until('base-measured');
    await using hostile = await HostileDialers.start(address, { sockets: 490, peers: 10 });
    for (const name of fixture.names) await fixture.join(name, address);
    const honest = fixture.names.map((name) => fixture.participant(name));
    const closed = await aggregator.until('round-closed', ({ round }) => round === 2);
    assert.deepEqual([closed.outcome, closed.updates], ['published', 2]);
    const peak = peakMemory(aggregator.pid);
    const finished = await Promise.all(honest.map((each) => each.until('finished')));
    assert.deepEqual(new Set(finished.map(({ adapter }) => adapter)), new Set([closed.adapter]));
    assert.ok(peak * 2 ** 20 < 512e6, `${peak.toFixed(0)} MiB`);
    assert.ok(hostile.dialled > 490 && hostile.streams > 100, `${hostile.dialled} dials, ${hostile.streams} streams`);
  });
});
