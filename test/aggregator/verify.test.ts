import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { cpSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { signCheckpoint } from '../../protocol/checkpoint.ts';
import { LIMITS } from '../../protocol/limits.ts';
import { decodeEnvelope, envelopeHash, sealEnvelope } from '../../protocol/envelope.ts';
import { merkleRoot } from '../../protocol/merkle.ts';
import { inputsRoot, openReceipt, signReceipt, type Receipt } from '../../protocol/receipt.ts';
import { sha256, type Sha256 } from '../../protocol/names.ts';
import { FederationFixture } from './federationFixture.ts';
import { attempt, killRunning, run } from './program.ts';

interface Report {
  readonly ok: boolean;
  readonly checked: Record<'signatures' | 'hashes' | 'aggregates' | 'log', number>;
  readonly first_failure: { readonly code: string; readonly round: number | null; readonly detail: string } | null;
}

describe('verifying a federation from files', function () {
  this.timeout(240_000);
  let fixture: FederationFixture;
  let audit: string;
  /** The adapter that ada adopted last. */
  let adapter: string;

  before(async () => {
    fixture = await FederationFixture.make({
      participants: 3,
      terms: {
        aggregation: { rule: 'robust', parameters: {} },
        serverOptimizer: { name: 'diloco', parameters: { learningRate: 1 } },
        quorum: 3,
      },
    });
    const aggregator = fixture.aggregator();
    const [address] = (await aggregator.until('listening')).addresses;
    for (const name of fixture.names) await fixture.join(name, address);
    const participants = fixture.names.map((name) => fixture.participant(name));
    adapter = (await participants[0]!.until('finished')).folder!;
    assert.equal(await aggregator.exit, 0);
    audit = fixture.path('audit');
    const [written] = run(
      'aggregator',
      'export',
      '--home',
      fixture.path('aggregator'),
      '--federation',
      fixture.file,
      '--out',
      audit,
    );
    assert.deepEqual([written!.rounds, written!.updates, written!.missing], [2, 6, []]);
  });
  after(() => {
    killRunning();
    fixture[Symbol.dispose]();
  });

  function verify(...args: string[]): Report & { status: number | null } {
    const { status, stdout, stderr } = attempt('verify', ...args, '--json');
    assert.notEqual(stdout, '', stderr);
    return { status, ...(JSON.parse(stdout) as Report) };
  }

  /** A copy of the audit folder with something changed. */
  function changed(change: (folder: string) => void): string {
    const folder = fixture.path('changed');
    rmSync(folder, { recursive: true, force: true });
    cpSync(audit, folder, { recursive: true });
    change(folder);
    return folder;
  }

  const receiptFile = (folder: string, round: number) => join(folder, 'receipts', String(round).padStart(6, '0'));
  const receiptOf = (folder: string, round: number) =>
    openReceipt(new Uint8Array(readFileSync(receiptFile(folder, round)))).content;

  /** Signs a receipt anew, as an aggregator that lies can, and puts it in place. */
  function resign(folder: string, round: number, change: (receipt: Receipt) => Partial<Receipt>): void {
    const receipt = receiptOf(folder, round);
    const altered = { ...receipt, ...change(receipt) };
    const { bytes } = signReceipt(fixture.owner, { ...altered, inputsRoot: inputsRoot(altered.updates) });
    writeFileSync(receiptFile(folder, round), bytes);
  }

  /** Another hash, by one digit. */
  const otherHash = (hash: Sha256) => `${hash.slice(1)}${hash.startsWith('0') ? '1' : '0'}` as Sha256;

  function flip(file: string): void {
    const bytes = readFileSync(file);
    bytes[bytes.length - 1]! ^= 1;
    writeFileSync(file, bytes);
  }

  it('finds every signature, hash, aggregate and link of a true one right', () => {
    const report = verify(audit);
    assert.deepEqual([report.status, report.ok, report.first_failure], [0, true, null]);
    // The manifest, two receipts, six updates, the checkpoint; per round parent, three updates and the inputs' root,
    // and in the second what the server optimiser remembered.
    assert.deepEqual(report.checked, { signatures: 10, hashes: 11, aggregates: 2, log: 3 });
  });

  it('checks one round by its receipt, and an adapter by its numbers', () => {
    const one = verify(receiptFile(audit, 2));
    assert.deepEqual([one.status, one.checked.aggregates], [0, 1]);
    const origin = verify(adapter, '--audit', audit);
    assert.deepEqual([origin.status, (origin as unknown as { round: number }).round], [0, 2]);
    const copy = fixture.path('copy');
    cpSync(adapter, copy, { recursive: true });
    flip(join(copy, 'adapter_model.safetensors'));
    const other = verify(copy, '--audit', audit);
    assert.deepEqual([other.status, other.first_failure?.code], [5, 'ADAPTER_NOT_PUBLISHED']);
    const same = (folder: string) => attempt('adapter', 'verify', folder, '--audit', audit, '--json');
    assert.deepEqual(
      JSON.parse(same(adapter).stdout),
      JSON.parse(attempt('verify', adapter, '--audit', audit, '--json').stdout),
    );
    assert.equal(same(copy).status, 5);
    assert.match(same(audit).stderr, /^error ADAPTER_INVALID: /);
  });

  it('finds what was acknowledged to a participant in the receipts', () => {
    const out = fixture.path('acknowledgements');
    const [written] = run('node', 'acknowledgements', '--home', fixture.path('ada'), '--out', out);
    assert.equal(written!.acknowledgements, 2);
    const { status, stdout } = attempt('verify', audit, '--acknowledgements', out, '--json');
    const report = JSON.parse(stdout) as Report & { acknowledgements: { outcome: string; round: number }[] };
    assert.deepEqual(
      report.acknowledgements.map(({ outcome, round }) => [outcome, round]),
      [
        ['included', 1],
        ['included', 2],
      ],
    );
    assert.deepEqual([status, report.ok, report.checked.signatures], [0, true, 14]);
  });

  const lies: Record<string, [(folder: string) => void, string, number | null]> = {
    'an optimiser state that the updates do not give': [
      (folder) => resign(folder, 1, ({ optimizerState }) => ({ optimizerState: otherHash(optimizerState!) })),
      'WRONG_OPTIMIZER_STATE',
      1,
    ],
    'what the optimiser remembered taken away': [
      (folder) => rmSync(join(folder, 'blobs', receiptOf(folder, 1).optimizerState!)),
      'BLOB_UNAVAILABLE',
      2,
    ],
    'one bit of what the optimiser remembered': [
      (folder) => flip(join(folder, 'blobs', receiptOf(folder, 1).optimizerState!)),
      'BLOB_MISMATCH',
      2,
    ],
    'an update dropped from the receipt': [
      (folder) => resign(folder, 1, ({ updates }) => ({ updates: updates.slice(1) })),
      'RECEIPT_TERMS',
      1,
    ],
    'an update added that nobody sent': [
      (folder) =>
        resign(folder, 1, ({ updates }) => ({
          updates: [...updates, { ...updates[0]!, sender: fixture.owner.id }].sort((a, b) =>
            a.sender < b.sender ? -1 : 1,
          ),
        })),
      'RECEIPT_TERMS',
      1,
    ],
    "an update put in a sender's mouth": [
      (folder) => {
        const [first] = receiptOf(folder, 1).updates;
        const { type, payload } = decodeEnvelope(
          readFileSync(join(folder, 'updates', first!.envelope)),
          LIMITS.message.value,
        );
        const { bytes, hash } = sealEnvelope(fixture.owner, type, payload);
        writeFileSync(join(folder, 'updates', hash), bytes);
        resign(folder, 1, ({ updates }) => ({
          updates: updates.map((update) => (update.sender === first!.sender ? { ...update, envelope: hash } : update)),
        }));
      },
      'FORGED_UPDATE',
      1,
    ],
    'one bit of the output flipped': [
      (folder) => {
        const { output } = receiptOf(folder, 1);
        flip(join(folder, 'blobs', output));
        const bytes = readFileSync(join(folder, 'blobs', output));
        const hash = sha256(bytes);
        renameSync(join(folder, 'blobs', output), join(folder, 'blobs', hash));
        resign(folder, 1, () => ({ output: hash, candidate: hash }));
      },
      'WRONG_AGGREGATE',
      1,
    ],
    'a parameter of the rule changed': [
      (folder) => resign(folder, 1, () => ({ aggregation: { rule: 'robust', parameters: { byzantineShare: 0.3 } } })),
      'RECEIPT_TERMS',
      1,
    ],
    'another rule': [
      (folder) => resign(folder, 2, () => ({ aggregation: { rule: 'alternating', parameters: {} } })),
      'RECEIPT_TERMS',
      2,
    ],
    'a round played again': [
      (folder) => resign(folder, 2, () => ({ ...receiptOf(folder, 1), round: 2 as Receipt['round'] })),
      'BROKEN_CHAIN',
      2,
    ],
    'a round left out': [(folder) => rmSync(receiptFile(folder, 1)), 'BROKEN_CHAIN', 2],
    'an update blob changed': [
      (folder) => flip(join(folder, 'blobs', receiptOf(folder, 2).updates[0]!.blob)),
      'BLOB_MISMATCH',
      2,
    ],
    'an update blob gone': [
      (folder) => rmSync(join(folder, 'blobs', receiptOf(folder, 2).updates[0]!.blob)),
      'BLOB_UNAVAILABLE',
      2,
    ],
    'an update message gone': [
      (folder) => rmSync(join(folder, 'updates', receiptOf(folder, 2).updates[0]!.envelope)),
      'ENVELOPE_UNAVAILABLE',
      2,
    ],
    'a receipt changed by somebody else': [(folder) => flip(receiptFile(folder, 1)), 'BAD_SIGNATURE', 1],
    'two stories: a checkpoint of other receipts': [
      (folder) => {
        const root = merkleRoot([Uint8Array.of(1), Uint8Array.of(2)]);
        const note = signCheckpoint(fixture.owner, { federation: fixture.federation.hash, size: 2, root });
        writeFileSync(join(folder, 'checkpoint'), note);
      },
      'LOG_FORKED',
      null,
    ],
    'a log that is cut': [(folder) => rmSync(receiptFile(folder, 2)), 'LOG_FORKED', null],
  };
  /** What the second implementation says of a folder; undefined where python3 is not installed. */
  function verifyElsewhere(folder: string): { status: number | null; output: string } | undefined {
    const script = join(import.meta.dirname, '..', '..', 'scripts', 'verify-audit.py');
    const { error, status, stdout, stderr } = spawnSync('python3', [script, folder], { encoding: 'utf8' });
    return error === undefined ? { status, output: stdout + stderr } : undefined;
  }

  it('is found right by a second implementation as well (where python3 is installed)', function () {
    const found = verifyElsewhere(audit);
    if (found === undefined) this.skip();
    assert.deepEqual(found, { status: 0, output: '2 rounds and 10 signatures: all as they should be\n' });
  });

  for (const [what, [lie, code, round]] of Object.entries(lies)) {
    it(`names ${what}`, () => {
      const folder = changed(lie);
      const elsewhere = verifyElsewhere(folder);
      if (elsewhere !== undefined) assert.equal(elsewhere.status, 1, elsewhere.output);
      const report = verify(folder);
      assert.deepEqual(
        [report.status, report.ok, report.first_failure?.code, report.first_failure?.round],
        [5, false, code, round],
      );
    });
  }

  it('says what it can verify, where it is given something else', () => {
    for (const [target, code, exit] of [
      [fixture.path('nowhere'), 'NOTHING_TO_VERIFY', 2],
      [fixture.file, 'NOTHING_TO_VERIFY', 2],
      [adapter, 'USAGE', 2],
    ] as const) {
      const { status, stderr } = attempt('verify', target);
      assert.deepEqual([status, /^error (\w+):/m.exec(stderr)?.[1]], [exit, code]);
    }
  });

  it('finds update messages under the hashes that receipts list', () => {
    const [name] = readdirSync(join(audit, 'updates'));
    const bytes = new Uint8Array(readFileSync(join(audit, 'updates', name!)));
    const envelope = decodeEnvelope(bytes, LIMITS.message.value);
    assert.equal(envelopeHash(envelope), name as Sha256);
  });
});
