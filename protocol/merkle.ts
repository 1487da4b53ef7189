/**
 * Merkle trees as in RFC 6962, section 2.1: one hash that commits to a list, and short proofs that an entry is in it.
 * Leaves and inner nodes are hashed apart (0x00 and 0x01 in front), so that neither can pass for the other.
 */
import { createHash } from 'node:crypto';

const LEAF = Uint8Array.of(0x00);
const NODE = Uint8Array.of(0x01);

/** Root over the entries in their order, 32 bytes; the hash of nothing for no entry. */
export function merkleRoot(entries: readonly Uint8Array[]): Uint8Array {
  return entries.length === 0 ? hash() : rootOf(entries.map(leafHash));
}

/** The hashes that lead from entry `index` to the root, lowest first. */
export function inclusionProof(entries: readonly Uint8Array[], index: number): Uint8Array[] {
  if (!Number.isInteger(index) || index < 0 || index >= entries.length) throw new RangeError(`no entry ${index}`);
  return pathOf(entries.map(leafHash), index);
}

/** Whether a proof shows that `entry` is entry `index` of a list of `size` with this root (RFC 9162, section 2.1.3.2). */
export function verifyInclusion(
  entry: Uint8Array,
  { index, size, proof, root }: { index: number; size: number; proof: readonly Uint8Array[]; root: Uint8Array },
): boolean {
  if (index < 0 || index >= size) return false;
  let [place, last] = [index, size - 1];
  let running = leafHash(entry);
  for (const sibling of proof) {
    if (last === 0) return false;
    if (place % 2 === 1 || place === last) {
      running = hash(NODE, sibling, running);
      while (place % 2 === 0 && place !== 0) [place, last] = [Math.floor(place / 2), Math.floor(last / 2)];
    } else {
      running = hash(NODE, running, sibling);
    }
    [place, last] = [Math.floor(place / 2), Math.floor(last / 2)];
  }
  return last === 0 && Buffer.from(running).equals(root);
}

export function leafHash(entry: Uint8Array): Uint8Array {
  return hash(LEAF, entry);
}

function rootOf(hashes: readonly Uint8Array[]): Uint8Array {
  if (hashes.length === 1) return hashes[0]!;
  const split = largestPowerOfTwoBelow(hashes.length);
  return hash(NODE, rootOf(hashes.slice(0, split)), rootOf(hashes.slice(split)));
}

function pathOf(hashes: readonly Uint8Array[], index: number): Uint8Array[] {
  if (hashes.length === 1) return [];
  const split = largestPowerOfTwoBelow(hashes.length);
  const [left, right] = [hashes.slice(0, split), hashes.slice(split)];
  return index < split ? [...pathOf(left, index), rootOf(right)] : [...pathOf(right, index - split), rootOf(left)];
}

function largestPowerOfTwoBelow(size: number): number {
  let power = 1;
  while (power * 2 < size) power *= 2;
  return power;
}

function hash(...parts: Uint8Array[]): Uint8Array {
  const digest = createHash('sha256');
  for (const part of parts) digest.update(part);
  return new Uint8Array(digest.digest());
}
