/**
 * Who a peer is: one Ed25519 key, and the name that follows from it.
 *
 * The name is the libp2p peer id of the key, so one key serves the transport and the protocol, and a signature can be
 * checked from the name alone. A peer id of an Ed25519 key is the base58btc text of an identity multihash over the
 * key's protobuf form (libp2p specs, peer-ids): `00 24 | 08 01 12 20 | 32 bytes of key`.
 */
import { createPrivateKey, createPublicKey, hash, sign as signBytes, verify as verifyBytes } from 'node:crypto';
import type { KeyObject } from 'node:crypto';
import { z } from 'zod';
import { decodeBase58, encodeBase58 } from './base58.ts';
import { PrefmeshError } from './errors.ts';

/** A participant's or aggregator's name: `12D3Koo…`, 52 characters, holds the public key. */
export type ParticipantId = string & { readonly [participantBrand]: true };
declare const participantBrand: unique symbol;

/** A key that can sign, with its name. The private key never leaves the `KeyObject`. */
export interface Identity {
  readonly id: ParticipantId;
  readonly privateKey: KeyObject;
}

export const SEED_BYTES = 32;
export const SIGNATURE_BYTES = 64;

const PEER_ID_PREFIX = Uint8Array.of(0x00, 0x24, 0x08, 0x01, 0x12, 0x20);
const PEER_ID_BYTES = PEER_ID_PREFIX.length + 32;
const LONGEST_PEER_ID_TEXT = 52;

/** DER around a raw Ed25519 key (RFC 8410): PKCS #8 for the seed, SubjectPublicKeyInfo for the public key. */
const PKCS8_PREFIX = Buffer.from('302e020100300506032b657004220420', 'hex');
const SPKI_PREFIX = Buffer.from('302a300506032b6570032100', 'hex');

/**
 * Encodings of the points of small order, sign bit cleared. Under such a key some verifiers take one signature for any
 * message and others take none; a name made of one is refused, so that all agree (the list is libsodium's).
 */
const SMALL_ORDER_KEYS: ReadonlySet<string> = new Set([
  '0000000000000000000000000000000000000000000000000000000000000000',
  '0100000000000000000000000000000000000000000000000000000000000000',
  '26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05',
  'c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a',
  'ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f',
  'edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f',
  'eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f',
]);

/** The identity of a 32-byte seed (RFC 8032 private key). Throws BAD_IDENTITY when it is not 32 bytes. */
export function identityFromSeed(seed: Uint8Array): Identity {
  if (seed.length !== SEED_BYTES) {
    throw new PrefmeshError('BAD_IDENTITY', { problem: `a key seed has ${SEED_BYTES} bytes, this one ${seed.length}` });
  }
  const privateKey = createPrivateKey({ key: Buffer.concat([PKCS8_PREFIX, seed]), format: 'der', type: 'pkcs8' });
  const spki = createPublicKey(privateKey).export({ format: 'der', type: 'spki' });
  return { id: participantIdOf(spki.subarray(SPKI_PREFIX.length)), privateKey };
}

/** The name of a raw 32-byte Ed25519 public key. */
export function participantIdOf(publicKey: Uint8Array): ParticipantId {
  return parseParticipantId(encodeBase58(Buffer.concat([PEER_ID_PREFIX, publicKey])));
}

/** Checks that a text is the name of an Ed25519 key. Throws BAD_IDENTITY. */
export function parseParticipantId(text: string): ParticipantId {
  publicKeyOf(text);
  return text as ParticipantId;
}

/** Names that were read, with their keys: a federation's messages hold the same few names again and again. */
const known = new Map<string, { readonly raw: Uint8Array; key: KeyObject | undefined }>();
const MOST_KNOWN = 4096;

/** The raw 32-byte public key that a name holds. Throws BAD_IDENTITY for anything but the name of a usable Ed25519 key. */
export function publicKeyOf(id: string): Uint8Array {
  return knownKey(id).raw;
}

function knownKey(id: string): { readonly raw: Uint8Array; key: KeyObject | undefined } {
  let found = known.get(id);
  if (found === undefined) {
    found = { raw: readPublicKey(id), key: undefined };
    if (known.size >= MOST_KNOWN) known.delete(known.keys().next().value!);
    known.set(id, found);
  }
  return found;
}

function readPublicKey(id: string): Uint8Array {
  const bytes = id.length <= LONGEST_PEER_ID_TEXT ? decodeBase58(id) : undefined;
  if (bytes?.length !== PEER_ID_BYTES || PEER_ID_PREFIX.some((byte, index) => bytes[index] !== byte)) {
    throw new PrefmeshError('BAD_IDENTITY', { problem: 'not the peer id of an Ed25519 key' });
  }
  const key = bytes.subarray(PEER_ID_PREFIX.length);
  const withoutSign = Buffer.from(key);
  withoutSign[31]! &= 0x7f;
  if (SMALL_ORDER_KEYS.has(withoutSign.toString('hex'))) {
    throw new PrefmeshError('BAD_IDENTITY', { problem: 'a key of small order: its signatures prove nothing' });
  }
  return key;
}

export const participantIdSchema = z.custom<ParticipantId>(
  (value) => {
    if (typeof value !== 'string') return false;
    try {
      publicKeyOf(value);
      return true;
    } catch {
      return false;
    }
  },
  { error: 'not the peer id of an Ed25519 key' },
);

/** An Ed25519 signature, 64 bytes. The same seed and bytes give the same signature. */
export function sign(identity: Identity, bytes: Uint8Array): Uint8Array {
  const signature = new Uint8Array(signBytes(null, bytes, identity.privateKey));
  own?.add(fingerprint(identity.id, bytes, signature));
  return signature;
}

/** Signatures that this process has made, while they are kept. */
let own: Set<string> | undefined;

/**
 * Keeps the signatures that are made from now on, so that `verify` need not compute what it knows: where all peers live
 * in one process, that is nearly everything. What was not made here is verified as ever.
 */
export function keepOwnSignatures(): Disposable {
  own ??= new Set();
  return { [Symbol.dispose]: () => void (own = undefined) };
}

function fingerprint(id: ParticipantId, bytes: Uint8Array, signature: Uint8Array): string {
  return hash('sha256', Buffer.concat([Buffer.from(id), signature, bytes]), 'base64');
}

/** Whether `signature` over `bytes` was made by the key that `id` names. */
export function verify(id: ParticipantId, bytes: Uint8Array, signature: Uint8Array): boolean {
  if (own?.has(fingerprint(id, bytes, signature))) return true;
  const found = knownKey(id);
  const spki = () => Buffer.concat([SPKI_PREFIX, found.raw]);
  found.key ??= createPublicKey({ key: spki(), format: 'der', type: 'spki' });
  return verifyBytes(null, bytes, found.key, signature);
}
