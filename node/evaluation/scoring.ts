/**
 * Log-probabilities of many pairs under an adapter and under the bare base, through one policy.
 */
import type { Policy, TokenizedPair } from '../training/policy.ts';
import type { PairLogProbs } from './preferenceAccuracy.ts';

export interface ScoringOptions {
  readonly signal?: AbortSignal;
  /** Called with how many of the pairs are scored; one that only one of two passes has seen counts half. */
  readonly onScored?: (done: number) => void;
}

export interface ScoredPairs {
  readonly candidate: PairLogProbs;
  /** The bare base; the very same object as `candidate` where there is no adapter. */
  readonly reference: PairLogProbs;
}

/** Pairs between two reports of progress, and between two chances to stop. */
const CHUNK = 32;

/**
 * Scores every pair under the base and, where one is given, under the adapter. Both passes cut the pairs alike, so
 * that equal weights give equal numbers to the last bit, and a tie is a tie.
 *
 * @param adapter flat vector of the policy's layout, or null for the bare base
 */
export async function scorePairs(
  policy: Policy,
  pairs: readonly TokenizedPair[],
  adapter: Float32Array | null,
  { signal, onScored }: ScoringOptions = {},
): Promise<ScoredPairs> {
  const passes = adapter === null ? 1 : 2;
  const pass = async (vector: Float32Array | null, before: number): Promise<PairLogProbs> => {
    const scored = { chosen: [] as number[], rejected: [] as number[], chosenTokens: [] as number[] };
    for (let start = 0; start < pairs.length; start += CHUNK) {
      signal?.throwIfAborted();
      const part = await policy.logProbs(
        pairs.slice(start, start + CHUNK),
        vector,
        signal === undefined ? {} : { signal },
      );
      scored.chosen.push(...part.chosen);
      scored.rejected.push(...part.rejected);
      scored.chosenTokens.push(...part.chosenTokens);
      onScored?.(Math.floor((before + scored.chosen.length) / passes));
    }
    return scored;
  };
  const reference = await pass(null, 0);
  return { reference, candidate: adapter === null ? reference : await pass(adapter, pairs.length) };
}
