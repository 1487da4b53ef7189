/**
 * The encryption of connections, with OpenSSL alone and few copies.
 *
 * What `@libp2p/noise` brings works piece by piece: a message that lies in several buffers comes out in as many and is
 * written to the socket in as many, and a key that is given as bytes is wrapped anew for every 64 KiB. On a blob those
 * cost more than the cipher. Handshakes are the library's own.
 *
 * Noise messages are ChaCha20-Poly1305 with a tag of 16 bytes behind the text (RFC 8439).
 */
import { type KeyObject, createCipheriv, createDecipheriv, createSecretKey } from 'node:crypto';
import { defaultCrypto } from '@libp2p/noise/crypto';
import { Uint8ArrayList } from 'uint8arraylist';

const CIPHER = 'chacha20-poly1305';
const TAG_BYTES = 16;
/** Below this the library's own way is the faster one (bytes). */
const SMALL = 1200;

/** Longest message of the Noise protocol (bytes). */
const MESSAGE_BYTES = 65_535;
const scratch = new Uint8Array(MESSAGE_BYTES);

const keys = new WeakMap<Uint8Array, KeyObject>();

export const noiseCiphers: typeof defaultCrypto = {
  ...defaultCrypto,
  chaCha20Poly1305Encrypt(plaintext, nonce, ad, k) {
    if (plaintext.byteLength < SMALL) return defaultCrypto.chaCha20Poly1305Encrypt(plaintext, nonce, ad, k);
    const cipher = createCipheriv(CIPHER, keyObject(k), nonce, { authTagLength: TAG_BYTES });
    cipher.setAAD(ad, { plaintextLength: plaintext.byteLength });
    const text = cipher.update(joined(plaintext));
    cipher.final(); // a stream cipher keeps nothing back
    return new Uint8ArrayList(text, cipher.getAuthTag());
  },
  chaCha20Poly1305Decrypt(ciphertext, nonce, ad, k, dst) {
    if (ciphertext.byteLength < SMALL) return defaultCrypto.chaCha20Poly1305Decrypt(ciphertext, nonce, ad, k, dst);
    const length = ciphertext.byteLength - TAG_BYTES;
    const decipher = createDecipheriv(CIPHER, keyObject(k), nonce, { authTagLength: TAG_BYTES });
    decipher.setAAD(ad, { plaintextLength: length });
    const whole = joined(ciphertext);
    decipher.setAuthTag(whole.subarray(length));
    const text = decipher.update(whole.subarray(0, length));
    decipher.final();
    return text;
  },
};

/** The bytes in one piece, for the moment: the next call may overwrite them. */
function joined(bytes: Uint8Array | Uint8ArrayList): Uint8Array {
  if (bytes instanceof Uint8Array) return bytes;
  let at = 0;
  for (const part of bytes) {
    scratch.set(part, at);
    at += part.length;
  }
  return scratch.subarray(0, at);
}

/** The same array of a connection's key always gives the same object. */
function keyObject(key: Uint8Array): KeyObject {
  let object = keys.get(key);
  if (object === undefined) {
    object = createSecretKey(key);
    keys.set(key, object);
  }
  return object;
}
