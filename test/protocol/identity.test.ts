import assert from 'node:assert/strict';
import { generateKeyPairFromSeed } from '@libp2p/crypto/keys';
import { peerIdFromPrivateKey, peerIdFromString } from '@libp2p/peer-id';
import { decodeBase58, encodeBase58 } from '../../protocol/base58.ts';
import {
  identityFromSeed,
  keepOwnSignatures,
  parseParticipantId,
  participantIdOf,
  publicKeyOf,
  sign,
  verify,
} from '../../protocol/identity.ts';
import type { ParticipantId } from '../../protocol/identity.ts';
import fc from 'fast-check';
import { identity, stranger } from './exampleFederation.ts';
import { assertRefused } from './refusal.ts';

describe('identity', () => {
  it('has the peer id that libp2p gives the same key', async () => {
    for (let byte = 0; byte < 20; byte++) {
      const seed = new Uint8Array(32).fill(byte);
      const peerId = peerIdFromPrivateKey(await generateKeyPairFromSeed('Ed25519', seed));
      assert.equal(identityFromSeed(seed).id, peerId.toString());
    }
  });

  it('finds the same public key in its name as libp2p', () => {
    const { id } = identity(5);
    assert.deepEqual(publicKeyOf(id), new Uint8Array(peerIdFromString(id).publicKey!.raw));
  });

  it('signs as RFC 8032 test 3 does', () => {
    const seed = Buffer.from('c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7', 'hex');
    const signature = sign(identityFromSeed(seed), Buffer.from('af82', 'hex'));
    assert.equal(
      Buffer.from(signature).toString('hex'),
      '6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a',
    );
  });

  it('accepts its own signature and no other message, key, or changed signature', () => {
    const me = identity(5);
    const bytes = Buffer.from('a message');
    const signature = sign(me, bytes);
    assert.ok(verify(me.id, bytes, signature));
    assert.ok(!verify(me.id, Buffer.from('another message'), signature));
    assert.ok(!verify(stranger.id, bytes, signature));
    assert.ok(!verify(me.id, bytes, signature.subarray(0, 63)));
    for (let i = 0; i < 64; i++) {
      const changed = Uint8Array.from(signature);
      changed[i]! ^= 1;
      assert.ok(!verify(me.id, bytes, changed), `byte ${i}`);
    }
  });

  it('keeps its own signatures where it is asked to, and still believes no other', () => {
    const me = identity(5);
    const bytes = Buffer.from('a message');
    const before = sign(identity(6), bytes);
    using _kept = keepOwnSignatures();
    const signature = sign(me, bytes);
    assert.ok(verify(me.id, bytes, signature));
    assert.ok(verify(identity(6).id, bytes, before), 'made before');
    assert.ok(!verify(me.id, Buffer.from('another message'), signature));
    assert.ok(!verify(stranger.id, bytes, signature));
    assert.ok(
      !verify(
        me.id,
        bytes,
        Uint8Array.from(signature, (byte, i) => (i === 40 ? byte ^ 1 : byte)),
      ),
    );
  });

  it('refuses the second form that a signature would have with S increased by the group order', () => {
    const me = identity(5);
    const bytes = Buffer.from('a message');
    const signature = sign(me, bytes);
    const order = 2n ** 252n + 27742317777372353535851937790883648493n;
    let s = 0n;
    for (let i = 63; i >= 32; i--) s = s * 256n + BigInt(signature[i]!);
    s += order;
    for (let i = 32; i < 64; i++, s /= 256n) signature[i] = Number(s % 256n);
    assert.ok(!verify(me.id, bytes, signature));
  });

  it('refuses keys of small order, under which verifiers disagree', () => {
    const smallOrder = [
      '0100000000000000000000000000000000000000000000000000000000000000',
      '0100000000000000000000000000000000000000000000000000000000000080',
      '0000000000000000000000000000000000000000000000000000000000000000',
      'c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa',
      'ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f',
    ];
    for (const key of smallOrder) assertRefused(() => participantIdOf(Buffer.from(key, 'hex')), 'BAD_IDENTITY');
  });

  it('refuses what is not the name of an Ed25519 key', () => {
    const rsa = 'QmYyQSo1c1Ym7orWxLYvCrM2EmxFTANf8wXmmE7DWjhx5N';
    const otherKind = encodeBase58(Buffer.concat([Buffer.from('002408021220', 'hex'), publicKeyOf(identity(5).id)]));
    const tooLong = identity(5).id + '1';
    for (const text of ['', '1', '0OIl', rsa, otherKind, tooLong, 'x'.repeat(100_000)]) {
      assertRefused(() => parseParticipantId(text), 'BAD_IDENTITY');
    }
    assertRefused(() => identityFromSeed(new Uint8Array(31)), 'BAD_IDENTITY');
  });

  it('reads base58 back to the bytes that were written', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 40 }), (bytes) => {
        assert.deepEqual(decodeBase58(encodeBase58(bytes)), bytes);
      }),
    );
    assert.equal(encodeBase58(Buffer.from('Hello World!')), '2NEpo7TZRRrLZSi2U');
  });

  it('gives every name one text', () => {
    fc.assert(
      fc.property(fc.string({ maxLength: 52 }), (text) => {
        let parsed: ParticipantId;
        try {
          parsed = parseParticipantId(text);
        } catch {
          return;
        }
        assert.equal(participantIdOf(publicKeyOf(parsed)), text);
      }),
    );
  });
});
