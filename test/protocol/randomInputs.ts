/**
 * Many cheap random inputs from one seed, for decoders that must survive anything. Property tests shrink what they
 * find and cost fifty times as much; these are for the hundred thousands.
 */

/** Whole numbers below a bound, from a seed (mulberry32). */
export function seededIntegers(seed: number): (below: number) => number {
  let state = seed >>> 0;
  return (below) => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return Math.floor((((t ^ (t >>> 14)) >>> 0) / 2 ** 32) * below);
  };
}

/** Up to `longest` random bytes. */
export function randomBytes(integer: (below: number) => number, longest: number): Uint8Array {
  return Uint8Array.from({ length: integer(longest + 1) }, () => integer(256));
}

/** A copy with one to eight bytes changed, and now and then cut short. */
export function mutate(integer: (below: number) => number, bytes: Uint8Array): Uint8Array {
  const copy = bytes.slice(0, integer(4) === 0 ? 1 + integer(bytes.length) : bytes.length);
  for (let edits = 1 + integer(8); edits > 0; edits--) {
    const at = integer(copy.length);
    copy[at] = copy[at]! ^ (1 + integer(255));
  }
  return copy;
}
