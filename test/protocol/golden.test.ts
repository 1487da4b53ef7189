import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { z } from 'zod';
import { decode } from '../../protocol/codec.ts';
import { checkSignature, decodeEnvelope, envelopeHash } from '../../protocol/envelope.ts';
import { LIMITS } from '../../protocol/limits.ts';
import { openManifest } from '../../protocol/manifest.ts';
import { MESSAGES } from '../../protocol/messages.ts';
import { sha256 } from '../../protocol/names.ts';
import type { Sha256 } from '../../protocol/names.ts';
import { decodeBlob, encodeBlob } from '../../protocol/tensorBlob.ts';
import { verifyReceipt } from '../../protocol/verification.ts';
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

  describe('in a second implementation (where python3 is installed)', () => {
    const script = resolve(import.meta.dirname, '../../scripts/verify-golden.py');
    const verify = (files: string) => spawnSync('python3', [script, files], { encoding: 'utf8' });

    before(function () {
      if (spawnSync('python3', ['--version']).error) this.skip();
    });

    it('are as they should be', () => {
      const { status, stdout, stderr } = verify(folder);
      assert.equal(status, 0, stderr);
      assert.equal(stdout, '15 envelopes, 5 blobs, 1 round: all as they should be\n');
    });

    it('are refused when one digit is another', () => {
      const copy = mkdtempSync(join(tmpdir(), 'golden-'));
      try {
        for (const name of ['join', 'update-2', 'update-3-blob', 'receipt']) {
          cpSync(folder, copy, { recursive: true });
          const text = readFileSync(join(folder, `${name}.hex`), 'utf8');
          const at = text.length - 9;
          writeFileSync(
            join(copy, `${name}.hex`),
            text.slice(0, at) + (text[at] === '0' ? '1' : '0') + text.slice(at + 1),
          );
          assert.equal(verify(copy).status, 1, name);
        }
      } finally {
        rmSync(copy, { recursive: true });
      }
    });
  });
});
