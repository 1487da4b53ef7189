/**
 * How a peer says no: a frame with a code of `errors.ts`, and nothing else. Text from a stranger is neither sent nor
 * shown; the code says what happened in the reader's own words.
 */
import { z } from 'zod';
import { type ErrorCode, PrefmeshError, isPrefmeshError } from '../../protocol/errors.ts';
import { codeSchema } from '../../protocol/messages.ts';

export const refusalSchema = z.strictObject({ t: z.literal('refused'), code: codeSchema });
export type Refusal = z.infer<typeof refusalSchema>;

/** The refusal for a failure. A fault of our own is told as UNEXPECTED, without what it was. */
export function refusalOf(error: unknown): Refusal {
  const code: ErrorCode = isPrefmeshError(error) ? error.code : 'UNEXPECTED';
  return { t: 'refused', code };
}

/** The asking side's error for a refusal; `details.code` is the peer's code. */
export function refused(peer: string, request: string, { code }: Refusal): PrefmeshError<'PEER_REFUSED'> {
  return new PrefmeshError('PEER_REFUSED', { peer, code, request });
}

/** Whether a peer refused, optionally with one given code. */
export function isRefusal(error: unknown, code?: ErrorCode): error is PrefmeshError<'PEER_REFUSED'> {
  return isPrefmeshError(error, 'PEER_REFUSED') && (code === undefined || error.details.code === code);
}
