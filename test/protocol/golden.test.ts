import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { z } from 'zod';
import { verifyAudit } from '../../node/audit/verifyAudit.ts';
import { RULE_NAMES } from '../../protocol/aggregation/rules.ts';
import { decode } from '../../protocol/codec.ts';
import { checkSignature, decodeEnvelope, envelopeHash } from '../../protocol/envelope.ts';
import { LIMITS } from '../../protocol/limits.ts';
import { openManifest } from '../../protocol/manifest.ts';
import { MESSAGES } from '../../protocol/messages.ts';
import { sha256 } from '../../protocol/names.ts';
import type { Sha256 } from '../../protocol/names.ts';
import { openReceipt, signReceipt } from '../../protocol/receipt.ts';
import type { Receipt } from '../../protocol/receipt.ts';
import { SERVER_OPTIMIZER_NAMES } from '../../protocol/serverOptimizer/serverOptimizers.ts';
import { decodeBlob, encodeBlob } from '../../protocol/tensorBlob.ts';
import { verifyReceipt } from '../../protocol/verification.ts';
import { aggregator } from './exampleFederation.ts';
import { goldenProofs, goldenRounds } from './golden/rounds.ts';
import { goldenVectors } from './golden/vectors.ts';

const folder = join(import.meta.dirname, 'golden');
const maxBytes = LIMITS.document.value;

interface ExpectedEnvelope {
  type: string;
  sender: string;
  signature: string;
  hash: string;
  payload: unknown;
}
const expected = JSON.parse(readFileSync(join(folder, 'expected.json'), 'utf8')) as Record<
  string,
  ExpectedEnvelope | { sha256: string }
>;

function golden(name: string): Uint8Array {
  return new Uint8Array(Buffer.from(readFileSync(join(folder, `${name}.hex`), 'utf8').replaceAll('\n', ''), 'hex'));
}
/** A value with its binary parts as `expected.json` has them. */
function plain(value: unknown): unknown {
  const asHex = (_: string, part: unknown) =>
    part instanceof Uint8Array ? { hex: Buffer.from(part).toString('hex') } : part;
  return JSON.parse(JSON.stringify(value, asHex));
}

const { envelopes, blobs } = goldenVectors();
const rounds = goldenRounds();

describe('golden vectors', () => {
  it('cover every message and document, and no file is left over', () => {
    const types = new Set(Object.values(expected).map((entry) => ('type' in entry ? entry.type : 'blob')));
    assert.deepEqual([...types].sort(), [...Object.keys(MESSAGES), 'blob', 'invite', 'manifest', 'receipt'].sort());
    const files = readdirSync(folder).filter((file) => file.endsWith('.hex'));
    assert.deepEqual(
      files.sort(),
      Object.keys(expected)
        .map((name) => `${name}.hex`)
        .sort(),
    );
  });

  for (const [name, bytes] of Object.entries(envelopes)) {
    it(`seal ${name} to the same bytes as ever`, () => assert.deepEqual(bytes, golden(name)));

    it(`read ${name} as ever`, () => {
      const entry = expected[name] as ExpectedEnvelope;
      const envelope = decodeEnvelope(golden(name), maxBytes);
      checkSignature(envelope);
      const payload = plain(decode(envelope.payload, z.unknown(), { what: name, maxBytes }));
      const { type, sender } = envelope;
      const signature = Buffer.from(envelope.signature).toString('hex');
      assert.deepEqual({ type, sender, signature, hash: envelopeHash(envelope), payload }, entry);
    });
  }

  for (const [name, bytes] of Object.entries(blobs)) {
    it(`write and read ${name} as ever`, () => {
      assert.deepEqual(bytes, golden(name));
      assert.equal(sha256(bytes), (expected[name] as { sha256: string }).sha256);
      assert.deepEqual(encodeBlob(decodeBlob(golden(name))), bytes);
    });
  }

  it('are one round that verifies in full', () => {
    const byHash = new Map<Sha256, Uint8Array>(Object.keys(blobs).map((name) => [sha256(golden(name)), golden(name)]));
    const messages = new Map<string, Uint8Array>(
      ['update-1', 'update-2', 'update-3'].map((name) => [(expected[name] as ExpectedEnvelope).hash, golden(name)]),
    );
    const { ok, checked } = verifyReceipt(golden('receipt'), {
      federation: openManifest(golden('manifest')),
      previous: null,
      blobs: (hash) => byHash.get(hash),
      envelopes: (hash) => messages.get(hash),
    });
    assert.ok(ok);
    assert.deepEqual(checked, { signatures: 4, hashes: 5, aggregates: 1, log: 1 });
  });

  it('are refused by nothing but what they should be, as whole federations', async () => {
    for (const [name, files] of rounds.federations) {
      const audit = mkdtempSync(join(tmpdir(), 'golden-'));
      try {
        const all = [...files, ...[...rounds.blobs].map(([hash, bytes]) => [`blobs/${hash}`, bytes] as const)];
        for (const [path, bytes] of all) {
          mkdirSync(dirname(join(audit, path)), { recursive: true });
          writeFileSync(join(audit, path), bytes);
        }
        const { first_failure } = await verifyAudit(audit, { acknowledgements: join(audit, 'acknowledgements') });
        assert.equal(first_failure, null, `${name}: ${first_failure?.detail}`);
      } finally {
        rmSync(audit, { recursive: true });
      }
    }
  });

  it('give the same federations and proofs, byte for byte, as ever', () => {
    const read = (name: string) => JSON.parse(readFileSync(join(folder, name), 'utf8')) as unknown;
    const base64 = (files: ReadonlyMap<string, Uint8Array>) =>
      Object.fromEntries([...files].map(([name, bytes]) => [name, Buffer.from(bytes).toString('base64')]));
    const federations = Object.fromEntries([...rounds.federations].map(([name, files]) => [name, base64(files)]));
    assert.deepEqual({ federations, blobs: base64(rounds.blobs) }, read('rounds.json'));
    assert.deepEqual(goldenProofs(), read('proofs.json'));
  });

  describe('in a second implementation (where python3 is installed)', function () {
    this.timeout(60_000);
    const script = resolve(import.meta.dirname, '../../scripts/verify-golden.py');
    const verify = (files: string) => spawnSync('python3', [script, files], { encoding: 'utf8' });

    before(function () {
      if (spawnSync('python3', ['--version']).error) this.skip();
    });

    it('are as they should be, every rule and every optimiser', () => {
      const { status, stdout, stderr } = verify(folder);
      assert.equal(status, 0, stderr);
      assert.deepEqual(stdout.split('\n'), [
        '15 envelopes, 5 blobs, 1 round: all as they should be',
        '72 proofs over Merkle trees: all as they should be',
        `${RULE_NAMES.length + SERVER_OPTIMIZER_NAMES.length} federations, 42 rounds computed again: all as they should be`,
        '',
      ]);
    });

    /** Changes a file of a copy; then the second implementation must refuse it. */
    function refuses(name: string, change: (text: string) => string): void {
      const copy = mkdtempSync(join(tmpdir(), 'golden-'));
      try {
        cpSync(folder, copy, { recursive: true });
        writeFileSync(join(copy, name), change(readFileSync(join(folder, name), 'utf8')));
        assert.equal(verify(copy).status, 1, name);
      } finally {
        rmSync(copy, { recursive: true });
      }
    }

    it('are refused when one digit is another', () => {
      for (const name of ['join', 'update-2', 'update-3-blob', 'receipt']) {
        refuses(`${name}.hex`, (text) => otherAt(text, text.length - 9));
      }
    });

    it('are refused when any file of a federation, or a proof, is another', () => {
      const { robust } = (JSON.parse(readFileSync(join(folder, 'rounds.json'), 'utf8')) as GoldenJson).federations;
      const kinds = new Map(Object.keys(robust!).map((path) => [path.split('/')[0]!, path]));
      assert.deepEqual(
        [...kinds.keys()].sort(),
        ['acknowledgements', 'checkpoint', 'federation', 'receipts', 'updates'].sort(),
      );
      for (const content of [...kinds.values()].map((path) => robust![path]!)) {
        refuses('rounds.json', (text) => otherAt(text, text.indexOf(content) + content.length - 9));
      }
      const [blob] = receiptOf(rounds.federations.get('robust')!).updates;
      const bytes = Buffer.from(rounds.blobs.get(blob!.blob)!).toString('base64');
      refuses('rounds.json', (text) => otherAt(text, text.indexOf(bytes) + bytes.length - 9));
      refuses('proofs.json', (text) => otherAt(text, text.lastIndexOf('proof') + 40));
    });

    it('are refused when an aggregator signs another result', () => {
      const files = rounds.federations.get('robust')!;
      const honest = receiptOf(files);
      const { bytes } = signReceipt(aggregator, { ...honest, candidate: honest.parent, output: honest.parent });
      const base64 = (each: Uint8Array) => Buffer.from(each).toString('base64');
      refuses('rounds.json', (text) => text.replace(base64(files.get('receipts/000001')!), base64(bytes)));
    });
  });
});

interface GoldenJson {
  readonly federations: Readonly<Record<string, Readonly<Record<string, string>>>>;
}

function receiptOf(files: ReadonlyMap<string, Uint8Array>): Receipt {
  return openReceipt(files.get('receipts/000001')!).content;
}

function otherAt(text: string, at: number): string {
  return text.slice(0, at) + (text[at] === '0' ? '1' : '0') + text.slice(at + 1);
}
