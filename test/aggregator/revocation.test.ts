import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { copyFileSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { AggregatorEvent } from '../../aggregator/events.ts';
import { joinFederation } from '../../node/participant/join.ts';
import { nodeStatus } from '../../node/participant/status.ts';
import { openReceipt } from '../../protocol/receipt.ts';
import { FederationFixture, MODEL, silent } from './federationFixture.ts';
import { attempt, killRunning, run, type Program } from './program.ts';

describe('a guest that the owner revokes while a round runs', function () {
  this.timeout(300_000);
  let fixture: FederationFixture;
  const id: Record<string, string> = {};
  afterEach(killRunning);
  after(() => fixture[Symbol.dispose]());

  const revoke = (...args: string[]) => {
    const home = fixture.path('aggregator');
    return attempt('federation', 'revoke', fixture.file, '--home', home, '--network', 'local', '--json', ...args);
  };

  it('is out at once, and all the others end with an adapter that anyone can verify', async () => {
    fixture = await FederationFixture.make({
      participants: 3,
      steps: 20,
      terms: { admission: { mode: 'invite', inviters: 'members', guestsPerInviter: 2 } },
    });
    for (const name of fixture.names) id[name] = (await fixture.identity(name)).id;
    const aggregator = fixture.aggregator();
    const { addresses } = await aggregator.until('listening');
    const invite = (home: string, ...args: string[]) =>
      run('federation', 'invite', fixture.file, '--home', fixture.path(home), '--address', addresses[0]!, ...args);
    const take = (name: string, ticket: unknown) =>
      joinFederation({
        home: fixture.path(name),
        source: String(ticket),
        pairs: fixture.pairs(name),
        consent: fixture.federation.hash,
        model: MODEL,
        network: 'local',
        log: silent,
        show: () => {},
      });
    const tickets = invite('aggregator', '--count', '3');
    await take('ada', tickets[0]!.ticket);
    await take('ben', tickets[1]!.ticket);
    await take('cleo', invite('ben')[0]!.ticket);
    // A member may have as many invites out as guests.
    invite('ben');
    const third = attempt('federation', 'invite', fixture.file, '--home', fixture.path('ben'), '--json');
    assert.equal(third.status, 2);
    assert.match(third.stderr, /INVITES_EXHAUSTED/);

    const ada = fixture.participant('ada');
    const ben = fixture.participant('ben');
    await ben.until('member');
    const cleo = fixture.participant('cleo');
    await aggregator.until('round-opened');
    process.kill(ada.pid, 'SIGSTOP'); // so that the round is still open when both others have been taken
    for (const name of ['ben', 'cleo']) {
      await aggregator.until('update-accepted', ({ participant }) => participant === id[name]);
    }
    const revoked = revoke('--guests-of', id['ben']!, '--address', addresses[0]!);
    assert.equal(revoked.status, 0, revoked.stderr);
    const told = JSON.parse(revoked.stdout) as { participants: string[]; delivered: string[]; file: string };
    assert.deepEqual([told.participants, told.delivered], [[id['cleo']], [fixture.owner.id]]);
    assert.equal((await aggregator.until('revoked')).version, 1);
    copyFileSync(told.file, fixture.path('first.revocations'));
    assert.deepEqual(await cleo.failure(), { code: 'KEY_REVOKED', exit: 5 });
    const { federations } = await nodeStatus(fixture.path('cleo'));
    assert.deepEqual(federations[0]!.revocations, { version: 1, keys: 1, own: true });
    process.kill(ada.pid, 'SIGCONT');

    const second = await aggregator.until('round-opened', ({ round }) => round === 2);
    assert.deepEqual([...second.cohort], [id['ada']!, id['ben']!].sort());
    for (const participant of [ada, ben]) {
      await participant.until('finished');
      assert.equal(await participant.exit, 0);
    }
    assert.equal(await aggregator.exit, 0);
  });

  it('is listed as refused where its update had been taken, in files that two implementations verify', () => {
    const audit = fixture.path('audit');
    run('aggregator', 'export', '--home', fixture.path('aggregator'), '--federation', fixture.file, '--out', audit);
    const { content } = openReceipt(readFileSync(join(audit, 'receipts', '000001')));
    const codes = content.updates.map(({ sender, code }) => [sender, code]);
    assert.deepEqual(Object.fromEntries(codes), {
      [id['ada']!]: null,
      [id['ben']!]: null,
      [id['cleo']!]: 'KEY_REVOKED',
    });
    const proofs = fixture.path('proofs');
    run('node', 'acknowledgements', '--home', fixture.path('cleo'), '--out', proofs);
    const newest = ['--revocations', fixture.path('first.revocations')];
    const [report] = run('verify', audit, '--acknowledgements', proofs, ...newest);
    assert.equal(report!.ok, true);
    const script = join(import.meta.dirname, '..', '..', 'scripts', 'verify-audit.py');
    const { status, stderr } = spawnSync('python3', [script, audit], { encoding: 'utf8' });
    assert.equal(status, 0, stderr);
  });

  it('stays out when the aggregator starts again, and an older list is refused', async () => {
    const serial = 'ab'.repeat(16);
    const undelivered = revoke('--invite', serial);
    assert.equal(undelivered.status, 4);
    assert.match(undelivered.stderr, /REVOCATION_UNDELIVERED/);
    const kept = join(fixture.path('aggregator'), 'revocations', fixture.federation.hash);
    const start = (list: string): Program<AggregatorEvent> => fixture.aggregator('--revocations', list);
    const newer = start(kept);
    assert.equal((await newer.until('revoked')).version, 2);
    await newer.kill();
    const older = start(fixture.path('first.revocations'));
    assert.deepEqual(await older.failure(), { code: 'REVOCATIONS_STALE', exit: 5 });
    const [shown] = run('federation', 'show', fixture.file, '--home', fixture.path('aggregator'));
    const { version, participants, invites } = shown!.revocations as Record<string, unknown>;
    assert.deepEqual([version, participants, invites], [2, [id['cleo']], [serial]]);
  });

  it('can be sent away by the owner alone, and who runs the federation by nobody', () => {
    const byBen = ['federation', 'revoke', fixture.file, '--home', fixture.path('ben'), '--participant', id['ada']!];
    const { status, stderr } = attempt(...byBen);
    assert.equal(status, 5);
    assert.match(stderr, /WRONG_OWNER/);
    const ofOwner = revoke('--participant', fixture.owner.id);
    assert.equal(ofOwner.status, 2);
    assert.match(ofOwner.stderr, /owns or runs the federation/);
    assert.match(revoke('--participant', 'nobody').stderr, /BAD_IDENTITY/);
  });
});
