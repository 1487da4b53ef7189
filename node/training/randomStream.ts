/**
 * Seeded random numbers for training: the initial adapter and the order of pairs.
 *
 * The generator is sfc32 ("Small Fast Counter", Chris Doty-Humphrey, PractRand): 128 bits of state, 32 out per step.
 * Its state is the first 128 bits of the SHA-256 of a label, so streams for different uses are independent, and the
 * same label gives the same numbers on every machine. Not for secrets.
 */
import { createHash } from 'node:crypto';

export class RandomStream {
  #a: number;
  #b: number;
  #c: number;
  #counter: number;

  /** A stream named by its parts, such as `(seed, 'order', epoch)`. */
  constructor(...label: readonly (string | number)[]) {
    const digest = createHash('sha256').update(JSON.stringify(label)).digest();
    this.#a = digest.readInt32LE(0);
    this.#b = digest.readInt32LE(4);
    this.#c = digest.readInt32LE(8);
    this.#counter = digest.readInt32LE(12);
  }

  /** 32 random bits as an unsigned integer. */
  bits(): number {
    const sum = (this.#a + this.#b + this.#counter) | 0;
    this.#counter = (this.#counter + 1) | 0;
    this.#a = this.#b ^ (this.#b >>> 9);
    this.#b = (this.#c + (this.#c << 3)) | 0;
    this.#c = (((this.#c << 21) | (this.#c >>> 11)) + sum) | 0;
    return sum >>> 0;
  }

  /** Uniform in [0, 1) with 53 random bits. */
  uniform(): number {
    const high = this.bits() >>> 5;
    const low = this.bits() >>> 6;
    return (high * 2 ** 26 + low) / 2 ** 53;
  }

  /** The numbers 0 to count − 1 in random order (Fisher–Yates). */
  permutation(count: number): number[] {
    const order = Array.from({ length: count }, (_, i) => i);
    for (let i = count - 1; i > 0; i--) {
      const j = Math.floor(this.uniform() * (i + 1));
      [order[i], order[j]] = [order[j]!, order[i]!];
    }
    return order;
  }
}
