import assert from 'node:assert/strict';
import { createHash, createPublicKey, verify as verifyBytes } from 'node:crypto';
import fc from 'fast-check';
import {
  cosignCheckpoint,
  cosigners,
  openCheckpoint,
  signCheckpoint,
  withCosignatures,
  type CheckpointSignature,
} from '../../protocol/checkpoint.ts';
import { publicKeyOf } from '../../protocol/identity.ts';
import { merkleRoot } from '../../protocol/merkle.ts';
import { aggregator, hashOf, participants, stranger } from './exampleFederation.ts';
import { assertRefused } from './refusal.ts';

const federation = hashOf('a federation');
const checkpoint = { federation, size: 3, root: merkleRoot([1, 2, 3].map((value) => Uint8Array.of(value))) };
const [ann, bob] = participants as [(typeof participants)[0], (typeof participants)[0]];
const signed = signCheckpoint(aggregator, checkpoint);
const SEEN_AT = 1_790_000_000;
const signerOf = ({ signer, seenAt }: CheckpointSignature) => [signer, seenAt];

describe('checkpoint', () => {
  it('is read back as it was signed', () => {
    const { text, signatures, ...read } = openCheckpoint(signed);
    assert.equal(text, signed);
    assert.deepEqual(read, checkpoint);
    assert.deepEqual(signatures.map(signerOf), [[aggregator.id, null]]);
  });

  it('has the form of a signed note, which others can check from the specifications alone', () => {
    const [origin, size, root, empty, line, end] = signed.split('\n');
    assert.deepEqual(
      [origin, size, root, empty, end],
      [`prefmesh/${federation}`, '3', Buffer.from(checkpoint.root).toString('base64'), '', ''],
    );
    const [dash, name, encoded] = line!.split(' ');
    assert.deepEqual([dash, name], ['\u2014', aggregator.id]);
    const bytes = Buffer.from(encoded!, 'base64');
    const key = publicKeyOf(aggregator.id);
    const id = createHash('sha256')
      .update(Buffer.concat([Buffer.from(`${name}\n\u0001`), key]))
      .digest();
    assert.deepEqual(bytes.subarray(0, 4), id.subarray(0, 4));
    const x = Buffer.from(key).toString('base64url');
    const publicKey = createPublicKey({ key: { kty: 'OKP', crv: 'Ed25519', x }, format: 'jwk' });
    assert.ok(verifyBytes(null, Buffer.from(`${origin}\n${size}\n${root}\n`), publicKey, bytes.subarray(4)));
  });

  it('collects the lines of witnesses, each with the time at which it saw it', () => {
    const known = [ann.id, bob.id];
    const add = (note: string, line: string) => withCosignatures(openCheckpoint(note), openCheckpoint(line), known);
    const once = add(signed, cosignCheckpoint(ann, checkpoint, SEEN_AT));
    const twice = add(once, cosignCheckpoint(bob, checkpoint, SEEN_AT + 5));
    const opened = openCheckpoint(twice);
    assert.deepEqual(opened.signatures.map(signerOf), [
      [aggregator.id, null],
      [ann.id, SEEN_AT],
      [bob.id, SEEN_AT + 5],
    ]);
    assert.equal(add(twice, cosignCheckpoint(bob, checkpoint, SEEN_AT + 9)), twice, 'each witness once');
    const foreign = cosignCheckpoint(stranger, checkpoint, SEEN_AT);
    assert.equal(add(twice, foreign), twice, 'and no others');
    assert.deepEqual(cosigners(opened, [ann.id, stranger.id, bob.id]), [ann.id, bob.id]);
    assert.deepEqual(cosigners(openCheckpoint(signed), [aggregator.id]), [], 'an own signature is no cosignature');
  });

  it('is refused when a line was not made by the key that it names', () => {
    const other = signCheckpoint(aggregator, { ...checkpoint, size: 4 });
    const moved = `${signed.slice(0, signed.indexOf('\n\n'))}${other.slice(other.indexOf('\n\n'))}`;
    assertRefused(() => openCheckpoint(moved), 'BAD_SIGNATURE');
    const cosigned = cosignCheckpoint(ann, checkpoint, SEEN_AT);
    const lines = cosigned.trimEnd().split('\n');
    const bytes = Buffer.from(lines.at(-1)!.split(' ')[2]!, 'base64');
    bytes[11]! ^= 1; // the time
    lines[lines.length - 1] = `\u2014 ${ann.id} ${bytes.toString('base64')}`;
    assertRefused(() => openCheckpoint(`${lines.join('\n')}\n`), 'BAD_SIGNATURE');
  });

  it('keeps lines by other kinds of keys, and does not count them', () => {
    const foreign = `${signed}\u2014 witness.example/w1 jWbPPwAAAABkGFDLEZMHwSRaJNiIDoe9DYk=\n`;
    assert.equal(openCheckpoint(foreign).signatures.length, 1);
  });

  it('is refused in any other form', () => {
    const body = signed.slice(0, signed.indexOf('\n\n'));
    for (const text of [
      '',
      body,
      signed.trimEnd(),
      signed.replace('\n3\n', '\n03\n'),
      signed.replace('\n3\n', '\n-3\n'),
      signed.replace('\n3\n', '\n9999999999999999\n'),
      signed.replace('prefmesh/', 'example/'),
      signed.replace('\u2014 ', '- '),
      signed.replace('=\n\n', '\n\n'),
      `${signed}nonsense\n`,
    ]) {
      assertRefused(() => openCheckpoint(text), 'MALFORMED');
    }
    assertRefused(() => openCheckpoint(signed + `\u2014 x ${'A'.repeat(16 * 1024)}\n`), 'OVERSIZED');
  });

  it('never takes a text with one character changed for the same checkpoint', () => {
    fc.assert(
      fc.property(fc.nat(signed.length - 1), fc.integer({ min: 32, max: 126 }), (at, code) => {
        const changed = signed.slice(0, at) + String.fromCharCode(code) + signed.slice(at + 1);
        if (changed === signed) return;
        let signers: unknown[] = [];
        try {
          signers = openCheckpoint(changed).signatures.map(({ signer }) => signer);
        } catch (error) {
          assert.match(String((error as { code?: string }).code), /^(MALFORMED|BAD_SIGNATURE)$/);
        }
        assert.deepEqual(signers, []);
      }),
      { numRuns: 3000 },
    );
  });
});
