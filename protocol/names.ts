/**
 * What things are called: content by its SHA-256, rounds by their number. (Peers are named in `identity.ts`.)
 */
import { createHash } from 'node:crypto';
import { z } from 'zod';
import { LIMITS } from './limits.ts';

/** A SHA-256 as 64 lower-case hexadecimal digits: in payloads, on disk and on screen alike. */
export type Sha256 = string & { readonly [sha256Brand]: true };
declare const sha256Brand: unique symbol;

/** The number of a round; the first is 1, and 0 stands for "before any round". */
export type RoundNumber = number & { readonly [roundBrand]: true };
declare const roundBrand: unique symbol;

const SHA256_TEXT = /^[0-9a-f]{64}$/;

export const sha256Schema = z.custom<Sha256>((value) => typeof value === 'string' && SHA256_TEXT.test(value), {
  error: 'not a SHA-256 in lower-case hexadecimal',
});

export const roundNumberSchema = z
  .int()
  .min(0)
  .max(LIMITS.rounds.value)
  .transform((value) => value as RoundNumber);

export function isSha256(text: string): text is Sha256 {
  return SHA256_TEXT.test(text);
}

/** SHA-256 over the parts, as if they were one run of bytes. */
export function sha256(...parts: Uint8Array[]): Sha256 {
  const hash = createHash('sha256');
  for (const part of parts) hash.update(part);
  return hash.digest('hex') as Sha256;
}

export function roundNumber(value: number): RoundNumber {
  return roundNumberSchema.parse(value);
}
