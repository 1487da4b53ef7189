import assert from 'node:assert/strict';
import { mkdtempDisposable } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Diagnosis, examine } from '../../../node/doctor/examination.ts';
import { ANY_RELAY } from '../../../node/network/presets.ts';
import { FederationFixture, silent } from '../../aggregator/federationFixture.ts';
import { attempt } from '../../aggregator/program.ts';
import { eventOf, startHost } from '../network/hosts.ts';
import { freePort } from '../network/proxy.ts';

function examineHome(home: string, bootstrap: readonly string[] = []): Promise<Diagnosis> {
  return examine({ home, network: 'local', listen: [], bootstrap, log: silent });
}

describe('the examination of a node', function () {
  this.timeout(120_000);

  it('of a machine that has joined nothing finds devices, disk and the model of the package, and nobody to reach', async () => {
    await using folder = await mkdtempDisposable(join(tmpdir(), 'prefmesh-doctor-'));
    const found = await examineHome(join(folder.path, 'not', 'there', 'yet'));
    assert.deepEqual([found.ok, found.reachability, found.problems], [true, null, []]);
    assert.ok(found.devices.cpu.usable);
    assert.ok(found.disk.free > found.disk.needed && found.disk.needed > 0);
  });

  it('says that the aggregator is reached directly and what the next adapter takes', async () => {
    using fixture = await FederationFixture.make({ participants: 2 });
    await using aggregator = await startHost({ identity: fixture.owner, role: 'aggregator' });
    await fixture.join('ada', aggregator.addresses[0]);
    const found = await examineHome(fixture.path('ada'));
    assert.deepEqual([found.ok, found.reachability], [true, 'direct']);
    const [federation] = found.federations;
    assert.equal(federation?.fits, true);
    // Rank 4 on q, v and down of the oracle's model, 4 bytes a number; round 1 sends the larger part of it, B.
    const { adapter, update } = federation.adapter!;
    assert.ok(update > 1000 && update < adapter && adapter < 2 * update + 10_000, `${adapter} ${update}`);
    assert.ok(found.disk.needed > adapter + 3 * update);
  });

  it('says that the aggregator is away, by the reason, and what to do', async () => {
    using fixture = await FederationFixture.make({ participants: 2 });
    const address = `/ip4/127.0.0.1/tcp/${await freePort()}/p2p/${fixture.owner.id}`;
    await fixture.join('ada', address);
    const found = await examineHome(fixture.path('ada'));
    assert.deepEqual([found.ok, found.reachability, found.federations[0]?.fits], [false, 'unreachable', false]);
    assert.deepEqual(
      found.problems.map(({ code }) => code),
      ['PEER_UNREACHABLE'],
    );
    assert.match(found.problems[0]!.what, /connection refused/);
    assert.match(found.problems[0]!.fix, /./);
  });

  it('says whether the next adapter fits through the relay that leads to the aggregator', async () => {
    using fixture = await FederationFixture.make({
      participants: 2,
      terms: { adapter: { rank: 128, alpha: 128, targets: ['q_proj', 'v_proj', 'down_proj'], seed: 1 } },
    });
    for (const [relayBounds, fits] of [
      ['limited', false],
      ['unlimited', true],
    ] as const) {
      await using relay = await startHost({ role: 'relay', relayBounds });
      const { owner: identity } = fixture;
      const listen = [ANY_RELAY];
      await using aggregator = await startHost({ identity, role: 'aggregator', listen, bootstrap: relay.addresses });
      while (aggregator.addresses.length === 0) await eventOf(aggregator.libp2p, 'self:peer:update');
      const [address] = aggregator.addresses;
      assert.match(address!, /p2p-circuit/);
      await fixture.join('ada', address);
      const found = await examineHome(fixture.path('ada'));
      assert.deepEqual([found.ok, found.reachability, found.federations[0]?.fits], [fits, 'relayed', fits]);
      const problems = found.problems.map(({ code }) => code);
      assert.deepEqual(problems, fits ? [] : ['PEER_RELAYED']);
    }
  });

  it('by the command ends with an exit code and the same as JSON', async () => {
    await using folder = await mkdtempDisposable(join(tmpdir(), 'prefmesh-doctor-'));
    const bootstrap = `/ip4/127.0.0.1/tcp/${await freePort()}`;
    const command = ['doctor', '--home', folder.path, '--network', 'local', '--bootstrap', bootstrap];
    const { status, stdout, stderr } = attempt(...command, '--json');
    assert.equal(status, 5);
    assert.match(stderr, /PEER_UNREACHABLE: .+\n {2}fix: .+\nerror DOCTOR_FOUND: .+ 1 problem\nfix: /);
    const { ok, reachability } = JSON.parse(stdout) as Diagnosis;
    assert.deepEqual([ok, reachability], [false, 'unreachable']);
  });
});
