/**
 * Reproducible choices. A stream is named by a key (`draws('evaluation', 7)`), so that what one part draws never
 * shifts what another part draws.
 *
 * Generator: sfc32 (Chris Doty-Humphrey, PractRand), seeded by a 32-bit FNV-1a hash of the key.
 */

export interface Draws {
  /** Uniform in [0, 1). */
  next(): number;
  /** Uniform integer in [0, bound). */
  below(bound: number): number;
  pick<T>(list: readonly T[]): T;
  /** A new array in random order (Fisher-Yates). */
  shuffled<T>(list: readonly T[]): T[];
}

/** A stream of choices that depends on the key alone. */
export function draws(...key: readonly (string | number)[]): Draws {
  let a = fnv1a(JSON.stringify(key));
  let b = 0x9e3779b9;
  let c = 0x243f6a88;
  let counter = 1;
  const next = (): number => {
    const sum = (a + b + counter) | 0;
    counter = (counter + 1) | 0;
    a = b ^ (b >>> 9);
    b = (c + (c << 3)) | 0;
    c = ((c << 21) | (c >>> 11)) + sum;
    return (sum >>> 0) / 2 ** 32;
  };
  for (let warmUp = 0; warmUp < 12; warmUp++) next();

  const below = (bound: number): number => Math.floor(next() * bound);
  const pick = <T>(list: readonly T[]): T => {
    if (list.length === 0) throw new RangeError('nothing to pick from');
    return list[below(list.length)] as T;
  };
  const shuffled = <T>(list: readonly T[]): T[] => {
    const result = [...list];
    for (let last = result.length - 1; last > 0; last--) {
      const other = below(last + 1);
      [result[last], result[other]] = [result[other] as T, result[last] as T];
    }
    return result;
  };
  return { next, below, pick, shuffled };
}

/** 32-bit FNV-1a of the text's UTF-8 bytes (http://www.isthe.com/chongo/tech/comp/fnv/). */
export function fnv1a(text: string): number {
  let hash = 0x811c9dc5;
  for (const byte of new TextEncoder().encode(text)) hash = Math.imul(hash ^ byte, 0x01000193);
  return hash >>> 0;
}
