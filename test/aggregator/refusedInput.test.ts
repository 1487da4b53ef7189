import assert from 'node:assert/strict';
import { appendFileSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer, type AddressInfo } from 'node:net';
import { once } from 'node:events';
import { join } from 'node:path';
import { Aggregator, type AggregatorOptions } from '../../aggregator/aggregator.ts';
import { Participant } from '../../node/participant.ts';
import { readFederationFile } from '../../node/participant/federationFile.ts';
import { joinFederation, type JoinOptions } from '../../node/participant/join.ts';
import { ticketText } from '../../node/participant/ticket.ts';
import { isPrefmeshError, type ErrorCode, type ExitCode } from '../../protocol/errors.ts';
import { sha256 } from '../../protocol/names.ts';
import { FederationFixture, MODEL, silent, writePairs } from './federationFixture.ts';
import { attempt, run } from './program.ts';

const OTHER_MODEL = join(import.meta.dirname, '..', 'oracle', 'qwen2', 'model');

/** Asserts that a promise rejects with a code of the table, and answers the message. */
async function refused(promise: Promise<unknown>, code: ErrorCode, exit: ExitCode): Promise<string> {
  const error: unknown = await promise.then(
    () => assert.fail(`it was not refused with ${code}`),
    (reason: unknown) => reason,
  );
  assert.ok(isPrefmeshError(error), String(error));
  assert.deepEqual([error.code, error.exitCode], [code, exit]);
  return error.message;
}

describe('what a federation does not start with', function () {
  this.timeout(120_000);
  let fixture: FederationFixture;
  before(async () => {
    fixture = await FederationFixture.make({ participants: 1, rounds: 1 });
  });
  after(() => fixture[Symbol.dispose]());

  const joining = (changes: Partial<JoinOptions> = {}) =>
    joinFederation({
      home: fixture.path('guest'),
      source: fixture.file,
      pairs: fixture.pairs('ada'),
      consent: fixture.federation.hash,
      model: MODEL,
      network: 'local',
      log: silent,
      show: () => {},
      ...changes,
    });
  const starting = (changes: Partial<AggregatorOptions> = {}) =>
    Aggregator.start({
      home: fixture.path('aggregator'),
      federation: fixture.federation,
      evaluationPairs: fixture.evaluationPairs,
      rootPairs: fixture.rootPairs,
      model: MODEL,
      network: 'local',
      compute: { threads: 1 },
      log: silent,
      onEvent: () => {},
      ...changes,
    });

  it('a federation file that was changed, cut or is missing', async () => {
    const bytes = readFileSync(fixture.file);
    const changed = Buffer.from(bytes);
    changed[changed.length - 10]! ^= 1;
    const file = fixture.path('changed.federation');
    writeFileSync(file, changed);
    await refused(readFederationFile(file), 'FEDERATION_FILE_INVALID', 3);
    writeFileSync(file, bytes.subarray(0, 100));
    await refused(readFederationFile(file), 'FEDERATION_FILE_INVALID', 3);
    await refused(readFederationFile(fixture.path('nowhere')), 'FILE_MISSING', 2);
    await refused(readFederationFile(fixture.file, sha256(Uint8Array.of(1))), 'FEDERATION_FILE_INVALID', 3);
  });

  it('another base model, naming both hashes and the model', async () => {
    const message = await refused(joining({ model: OTHER_MODEL }), 'BASE_MODEL_MISMATCH', 5);
    assert.ok(message.includes(fixture.federation.content.base.hash), message);
    assert.match(message, /trains model with hash [0-9a-f]{64}; the model \S+ here has hash [0-9a-f]{64}/);
  });

  it('too few pairs, counting only those from which something can be learnt', async () => {
    const few = fixture.path('few.jsonl');
    writePairs(few, 'few', 7);
    const same = (id: string) => JSON.stringify({ id, prompt: 'p', chosen: 'same', rejected: 'same' });
    appendFileSync(few, `${same('x')}\n${same('y')}\n`);
    const message = await refused(joining({ pairs: few }), 'TOO_FEW_PAIRS', 5);
    assert.match(message, /\b7\b/);
  });

  it('a pairs file that is not one, naming line and field', async () => {
    const broken = fixture.path('broken.jsonl');
    writePairs(broken, 'broken', 3);
    appendFileSync(broken, '{"prompt": "p", "chosen": 3, "rejected": "r"}\n');
    const message = await refused(joining({ pairs: broken }), 'PAIRS_INVALID', 3);
    assert.match(message, /broken\.jsonl.*\b4\b.*chosen/);
  });

  it('no consent, or a consent to other terms', async () => {
    await refused(joining({ consent: undefined }), 'CONSENT_MISSING', 5);
    await refused(joining({ consent: sha256(Uint8Array.of(1)) }), 'CONSENT_MISMATCH', 5);
  });

  it('a ticket that was mangled on the way', async () => {
    const ticket = ticketText({ federation: fixture.federation.hash, addresses: [], invite: null });
    await refused(joining({ source: ticket.slice(0, -4) }), 'TICKET_INVALID', 2);
  });

  it('an aggregator whose key the manifest does not name', async () => {
    const message = await refused(starting({ home: fixture.path('impostor') }), 'NOT_THE_AGGREGATOR', 5);
    assert.ok(message.includes(fixture.owner.id), message);
  });

  it('another evaluation set than the manifest commits to', async () => {
    const message = await refused(starting({ evaluationPairs: fixture.rootPairs }), 'PAIR_SET_MISMATCH', 3);
    assert.ok(message.includes(fixture.federation.content.evaluation.evaluationSet.sha256), message);
  });

  it('a port that is in use', async () => {
    const server = createServer().listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address() as AddressInfo;
    await refused(starting({ listen: [`/ip4/127.0.0.1/tcp/${port}`] }), 'PORT_BUSY', 4);
    server.close();
  });

  it('a data folder that another process holds', async () => {
    await using _running = await starting();
    await refused(starting(), 'HOME_LOCKED', 2);
  });

  it('a pairs file that changed since the person joined', async () => {
    const pairs = fixture.path('mine.jsonl');
    writePairs(pairs, 'mine', 16);
    await joining({ home: fixture.path('changer'), pairs });
    writePairs(pairs, 'mine', 17);
    const start = Participant.start({
      home: fixture.path('changer'),
      network: 'local',
      compute: { threads: 1 },
      seed: 0,
      verify: 'full',
      log: silent,
      onEvent: () => {},
    });
    await refused(start, 'PAIRS_CHANGED', 3);
  });

  it('says all of it in two lines on the command line, and ends with the exit code', () => {
    const start = attempt('node', 'start', '--home', fixture.path('nobody'));
    assert.deepEqual([start.status, start.stdout], [2, '']);
    assert.match(start.stderr, /^error NOT_JOINED: .+\nfix: .+\n$/);
    const [terms] = run('federation', 'show', fixture.file);
    assert.deepEqual([terms!.federation, terms!.minimumPairs], [fixture.federation.hash, 8]);
  });
});
