import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { cosignCheckpoint, cosigners, openCheckpoint } from '../../protocol/checkpoint.ts';
import { merkleRoot } from '../../protocol/merkle.ts';
import { isRefusal } from '../../node/network/refusal.ts';
import { FederationClient } from '../../node/network/federation/client.ts';
import { Host } from '../../node/network/host.ts';
import type { NodeStatus } from '../../node/participant/status.ts';
import { FederationFixture, silent } from './federationFixture.ts';
import { attempt, killRunning, run } from './program.ts';

describe('witnesses of a federation', function () {
  this.timeout(240_000);
  afterEach(killRunning);

  it('repeat every round and cosign the log; whoever adopts waits for as many as the manifest wants', async () => {
    using fixture = await FederationFixture.make({
      participants: 3,
      witnesses: { names: ['ada', 'ben'], required: 2 },
    });
    const aggregator = fixture.aggregator();
    const [address] = (await aggregator.until('listening')).addresses;
    for (const name of fixture.names) await fixture.join(name, address);
    const [ada, ben, cleo] = fixture.names.map((name) => fixture.participant(name));
    await Promise.all([ada!, ben!, cleo!].map((participant) => participant.until('finished')));
    for (const participant of [ada!, ben!, cleo!]) {
      const checks = participant.events.filter((event) => event.event === 'log-checked');
      assert.deepEqual(
        checks.map(({ cosignatures }) => cosignatures),
        [2, 2],
      );
    }
    assert.equal(await aggregator.exit, 0);
    const audit = fixture.path('audit');
    // prettier-ignore
    run('aggregator', 'export', '--home', fixture.path('aggregator'), '--federation', fixture.file, '--out', audit);
    const checkpoint = openCheckpoint(readFileSync(join(audit, 'checkpoint'), 'utf8'));
    const { participants } = fixture.federation.content.witnesses;
    assert.deepEqual([checkpoint.size, cosigners(checkpoint, participants).length], [2, 2]);
    const [report] = run('verify', audit);
    assert.equal(report!.ok, true);
    const fewer = checkpoint.text.trimEnd().split('\n').slice(0, -1).join('\n');
    writeFileSync(join(audit, 'checkpoint'), `${fewer}\n`);
    const { status, stdout } = attempt('verify', audit, '--json');
    const { first_failure: failure } = JSON.parse(stdout) as { first_failure: { code: string } };
    assert.deepEqual([status, failure.code], [5, 'COSIGNATURES_MISSING']);
  });

  it('hold up everybody who waits for one that is away, and nobody adopts meanwhile', async () => {
    using fixture = await FederationFixture.make({
      participants: 2,
      rounds: 1,
      witnesses: { names: ['dana'], required: 1 },
    });
    const aggregator = fixture.aggregator();
    const [address] = (await aggregator.until('listening')).addresses;
    for (const name of fixture.names) await fixture.join(name, address);
    const [ada] = fixture.names.map((name) => fixture.participant(name));
    await ada!.until('retrying', ({ code }) => code === 'COSIGNATURES_MISSING');
    await ada!.until('retrying', ({ code }) => code === 'COSIGNATURES_MISSING');
    assert.equal(ada!.events.filter(({ event }) => event === 'receipt-verified').length, 1, 'verified once');
    assert.ok(!ada!.events.some(({ event }) => event === 'adopted'));
    const [status] = run('node', 'status', '--home', fixture.path('ada')) as unknown as NodeStatus[];
    const { code, problem, fix } = status!.federations[0]!.standing!.trouble!;
    assert.deepEqual(
      [code, problem],
      ['COSIGNATURES_MISSING', 'round 1 has 0 of the 1 cosignatures that its federation wants'],
    );
    const { stderr } = attempt('node', 'status', '--home', fixture.path('ada'));
    assert.ok(stderr.includes(`waits: ${code}: ${problem}\n  fix: ${fix}\n`), stderr);

    const dana = await fixture.identity('dana');
    await using host = await Host.start(dana, { preset: 'local', role: 'participant', log: silent });
    host.hold(address!);
    await host.ready({});
    const client = new FederationClient(host);
    const { hash } = fixture.federation;
    const { checkpoint } = await client.log(fixture.owner.id, hash, 0);
    const right = openCheckpoint(checkpoint);
    const refused = async (note: string) =>
      assert.rejects(client.cosign(fixture.owner.id, hash, note), (error) => isRefusal(error, 'NOT_A_WITNESS'));
    await refused(cosignCheckpoint(fixture.owner, right, 1_790_000_000));
    await refused(cosignCheckpoint(dana, { ...right, root: merkleRoot([]) }, 1_790_000_000));
    await refused(cosignCheckpoint(dana, { ...right, size: 7 }, 1_790_000_000));
    assert.ok(!ada!.events.some(({ event }) => event === 'adopted'));
    await client.cosign(fixture.owner.id, hash, cosignCheckpoint(dana, right, 1_790_000_000));
    await ada!.until('finished');
    const [later] = run('node', 'status', '--home', fixture.path('ada')) as unknown as NodeStatus[];
    assert.equal(later!.federations[0]!.standing!.trouble, undefined);
  });
});
