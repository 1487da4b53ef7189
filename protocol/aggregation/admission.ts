/**
 * What an update must be before any arithmetic touches it. Two looks: at the offer, before its blob is pulled, and at
 * the blob. Whoever recomputes a round repeats the second.
 */
import { PrefmeshError, isPrefmeshError } from '../errors.ts';
import type { Factor } from '../messages.ts';
import type { Sha256 } from '../names.ts';
import { factorOfRound } from '../roundState.ts';
import type { FederationState, UpdateOffer } from '../roundState.ts';
import { blobBytes, checkBlob, decodeBlob } from '../tensorBlob.ts';
import type { FixedPointTensors } from '../tensorBlob.ts';
import { factorTable, norm } from '../update.ts';

/** What the blobs of a round must be like. */
export interface AdmissionTerms {
  /** The whole adapter that the round starts from. */
  readonly parent: FixedPointTensors;
  readonly factor: Factor;
  /** Largest L2 norm, in units of the weights. */
  readonly normBound: number;
}

export type BlobVerdict =
  | { readonly accepted: true; readonly update: FixedPointTensors; readonly norm: number }
  | { readonly accepted: false; readonly problem: PrefmeshError };

/**
 * Whether an offer fits the round at time `at`. The same update offered again counts as accepted before, also after
 * the deadline, so that a participant that missed the answer gets it.
 *
 * The problem is returned, with code WRONG_ROUND, NOT_IN_COHORT, DUPLICATE_UPDATE, KEY_REVOKED, ROUND_CLOSED,
 * WRONG_FACTOR or WRONG_PARENT.
 */
export function checkOffer(
  state: FederationState,
  offer: UpdateOffer,
  at: number,
): 'fits' | 'accepted before' | PrefmeshError {
  const { sender, round } = offer;
  if (round !== state.round) return new PrefmeshError('WRONG_ROUND', { sender, round, expected: state.round });
  if (state.phase === 'open' || state.phase === 'finished') {
    return new PrefmeshError('ROUND_CLOSED', { round, phase: state.phase });
  }
  if (!state.cohort.includes(sender)) return new PrefmeshError('NOT_IN_COHORT', { sender, round });
  const before = state.accepted.find((update) => update.sender === sender);
  if (before)
    return before.blob === offer.blob ? 'accepted before' : new PrefmeshError('DUPLICATE_UPDATE', { sender, round });
  if (state.revocations?.participants.includes(sender))
    return new PrefmeshError('KEY_REVOKED', { participant: sender });
  if (state.phase !== 'training' && state.phase !== 'collecting') {
    return new PrefmeshError('ROUND_CLOSED', { round, phase: state.phase });
  }
  if (at >= state.deadline) return new PrefmeshError('ROUND_CLOSED', { round, phase: 'past its deadline' });
  const factor = factorOfRound(state);
  if (offer.factor !== factor)
    return new PrefmeshError('WRONG_FACTOR', { sender, factor: offer.factor, expected: factor });
  if (offer.parent !== state.parent) {
    return new PrefmeshError('WRONG_PARENT', { sender, parent: offer.parent, expected: state.parent });
  }
  return 'fits';
}

/**
 * Checks a blob that came for an offer: its length, hash, form, tensors, values and norm.
 *
 * The problem is returned, with code OVERSIZED, BLOB_MISMATCH, MALFORMED_BLOB, WRONG_TENSOR_TABLE, NOT_FINITE or
 * NORM_EXCEEDED.
 */
export function admitBlob(bytes: Uint8Array, hash: Sha256, { parent, factor, normBound }: AdmissionTerms): BlobVerdict {
  const table = factorTable(parent.table, factor);
  const limit = blobBytes(table);
  try {
    if (bytes.length > limit) throw new PrefmeshError('OVERSIZED', { what: 'blob', bytes: bytes.length, limit });
    checkBlob(bytes, hash);
    const update = decodeBlob(bytes, { table, bits: parent.bits });
    const found = norm(update);
    if (found > normBound) throw new PrefmeshError('NORM_EXCEEDED', { norm: found, bound: normBound });
    return { accepted: true, update, norm: found };
  } catch (problem) {
    if (isPrefmeshError(problem)) return { accepted: false, problem };
    throw problem;
  }
}
