/**
 * Merkle trees as in RFC 6962, section 2.1: one hash that commits to a list, and short proofs that an entry is in it or
 * that a longer list begins with a shorter one.
 * Leaves and inner nodes are hashed apart (0x00 and 0x01 in front), so that neither can pass for the other.
 */
import { createHash } from 'node:crypto';

const LEAF = Uint8Array.of(0x00);
const NODE = Uint8Array.of(0x01);

/** Root over the entries in their order, 32 bytes; the hash of nothing for no entry. */
export function merkleRoot(entries: readonly Uint8Array[]): Uint8Array {
  return rootOfLeaves(entries.map(leafHash));
}

/** The same, of entries whose leaf hashes are known. */
export function rootOfLeaves(leaves: readonly Uint8Array[]): Uint8Array {
  return leaves.length === 0 ? hash() : rootOf(leaves);
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

/**
 * The hashes that show that the list of `size` entries is the beginning of the whole one (RFC 6962, section 2.1.2).
 * Empty for the whole list itself.
 */
export function consistencyProof(entries: readonly Uint8Array[], size: number): Uint8Array[] {
  return consistencyOfLeaves(entries.map(leafHash), size);
}

/** The same, of entries whose leaf hashes are known. */
export function consistencyOfLeaves(leaves: readonly Uint8Array[], size: number): Uint8Array[] {
  if (!Number.isInteger(size) || size < 1 || size > leaves.length) throw new RangeError(`no list of ${size} entries`);
  return subproof(leaves, size, true);
}

/**
 * Whether a proof shows that a list with root `newRoot` goes on from one with root `oldRoot`
 * (RFC 9162, section 2.1.4.2). Every list goes on from the empty one.
 */
export function verifyConsistency({
  oldSize,
  oldRoot,
  newSize,
  newRoot,
  proof,
}: {
  oldSize: number;
  oldRoot: Uint8Array;
  newSize: number;
  newRoot: Uint8Array;
  proof: readonly Uint8Array[];
}): boolean {
  const equal = (a: Uint8Array, b: Uint8Array) => Buffer.from(a).equals(b);
  if (oldSize < 0 || oldSize > newSize) return false;
  if (oldSize === 0) return proof.length === 0 && equal(oldRoot, hash());
  if (oldSize === newSize) return proof.length === 0 && equal(oldRoot, newRoot);
  // A whole subtree is not in its own proof: the old root stands for it.
  const path = isPowerOfTwo(oldSize) ? [oldRoot, ...proof] : proof;
  const [first, ...rest] = path;
  if (first === undefined) return false;
  let [place, last] = [oldSize - 1, newSize - 1];
  while (place % 2 === 1) [place, last] = [Math.floor(place / 2), Math.floor(last / 2)];
  let [old, renewed] = [first, first];
  for (const sibling of rest) {
    if (last === 0) return false;
    if (place % 2 === 1 || place === last) {
      old = hash(NODE, sibling, old);
      renewed = hash(NODE, sibling, renewed);
      while (place % 2 === 0 && place !== 0) [place, last] = [Math.floor(place / 2), Math.floor(last / 2)];
    } else {
      renewed = hash(NODE, renewed, sibling);
    }
    [place, last] = [Math.floor(place / 2), Math.floor(last / 2)];
  }
  return last === 0 && equal(old, oldRoot) && equal(renewed, newRoot);
}

/** SHA-256 of a zero byte and the entry: RFC 6962, section 2.1. */
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

/** `whole` says whether the first `size` hashes are a subtree of the old list, whose root is known. */
function subproof(hashes: readonly Uint8Array[], size: number, whole: boolean): Uint8Array[] {
  if (size === hashes.length) return whole ? [] : [rootOf(hashes)];
  const split = largestPowerOfTwoBelow(hashes.length);
  const [left, right] = [hashes.slice(0, split), hashes.slice(split)];
  return size <= split
    ? [...subproof(left, size, whole), rootOf(right)]
    : [...subproof(right, size - split, false), rootOf(left)];
}

function isPowerOfTwo(size: number): boolean {
  return Number.isInteger(Math.log2(size));
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
