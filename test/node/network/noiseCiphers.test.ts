import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { pureJsCrypto } from '@libp2p/noise';
import fc from 'fast-check';
import { Uint8ArrayList } from 'uint8arraylist';
import { noiseCiphers } from '../../../node/network/noiseCiphers.ts';

/** Lengths on both sides of the one where the way changes, up to the longest message with its tag. */
const length = fc.oneof(fc.integer({ min: 0, max: 3000 }), fc.integer({ min: 60_000, max: 65_519 }));

/** The same bytes in pieces, as they come from a socket. */
function inPieces(bytes: Uint8Array, cuts: readonly number[]): Uint8ArrayList {
  const at = [0, ...cuts.map((share) => Math.floor(share * bytes.length)), bytes.length].toSorted((a, b) => a - b);
  return new Uint8ArrayList(...at.slice(1).map((end, index) => bytes.subarray(at[index], end)));
}

describe('the ciphers of connections', () => {
  it('give what an implementation in plain JavaScript gives, and open what it sealed, however the bytes lie', () => {
    // Noise binds at most a hash of 32 bytes, and the library takes no more.
    fc.assert(
      fc.property(length, fc.array(fc.double({ min: 0, max: 1, noNaN: true }), { maxLength: 4 }), (bytes, cuts) => {
        const [plain, key, nonce, ad] = [randomBytes(bytes), randomBytes(32), randomBytes(12), randomBytes(bytes % 33)];
        const sealed = pureJsCrypto.chaCha20Poly1305Encrypt(plain, nonce, ad, key).subarray();
        for (const text of [plain, inPieces(plain, cuts)]) {
          assert.deepEqual(
            Buffer.from(noiseCiphers.chaCha20Poly1305Encrypt(text, nonce, ad, key).subarray()),
            Buffer.from(sealed),
          );
        }
        for (const text of [Uint8Array.from(sealed), inPieces(Uint8Array.from(sealed), cuts)]) {
          const opened = noiseCiphers.chaCha20Poly1305Decrypt(text, nonce, ad, key, new Uint8Array(bytes));
          assert.deepEqual(Buffer.from(opened.subarray()), plain);
        }
      }),
      { numRuns: 60 },
    );
  });

  it('refuse a message of which one bit is another', () => {
    const [key, nonce, ad] = [randomBytes(32), randomBytes(12), randomBytes(0)];
    for (const bytes of [10, 5000, 65_519]) {
      const sealed = noiseCiphers.chaCha20Poly1305Encrypt(randomBytes(bytes), nonce, ad, key).subarray();
      for (const at of [0, bytes - 1, bytes, bytes + 15]) {
        const other = Uint8Array.from(sealed);
        other[at]! ^= 1;
        assert.throws(() => noiseCiphers.chaCha20Poly1305Decrypt(other, nonce, ad, key));
      }
    }
  });

  it('keep what they gave when the next message comes', () => {
    const [key, nonce, ad] = [randomBytes(32), randomBytes(12), randomBytes(0)];
    const texts = [randomBytes(50_000), randomBytes(50_000)];
    const sealed = texts.map((text) => noiseCiphers.chaCha20Poly1305Encrypt(new Uint8ArrayList(text), nonce, ad, key));
    const opened = sealed.map((text) => noiseCiphers.chaCha20Poly1305Decrypt(text, nonce, ad, key));
    assert.deepEqual(
      opened.map((text) => Buffer.from(text.subarray())),
      texts,
    );
  });
});
