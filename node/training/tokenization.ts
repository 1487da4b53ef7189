/**
 * Pairs as token ids, the only form in which training sees them.
 *
 * Prompt and completion are tokenised apart, so no token spans the boundary and the completion's ids do not depend
 * on the prompt. The prompt carries the model's BOS if it uses one; a completion carries none, and ends with the
 * model's end token, which is scored like any other of its tokens.
 *
 * Length is bounded per sequence, prompt and one completion. A pair is left out when its prompt leaves no room for a
 * single token; a completion that does not fit is cut at its end, and then has no end token, so that the model is
 * not taught to stop there. Both are counted: cut completions teach nothing about how to finish.
 */
import { PrefmeshError } from '../../protocol/errors.ts';
import type { Tokenizer } from '../model/tokenizer.ts';
import type { PreferencePair } from '../preferences/pairs.ts';
import type { TokenizedPair } from './policy.ts';

export interface TokenizeOptions {
  /** Most tokens of prompt and one completion together. */
  readonly maxLength: number;
}

export interface TokenizedPairs {
  /** In the order given. */
  readonly pairs: TokenizedPair[];
  /** Ids of the pairs left out because the prompt is empty as tokens or leaves no room. */
  readonly dropped: string[];
  /** Ids of pairs of which a completion was cut. */
  readonly cut: string[];
}

/** @throws TOKENIZER_INVALID when the model has no end token */
export function tokenizePairs(
  tokenizer: Tokenizer,
  pairs: readonly PreferencePair[],
  { maxLength }: TokenizeOptions,
): TokenizedPairs {
  const result: TokenizedPairs = { pairs: [], dropped: [], cut: [] };
  for (const { id, ...texts } of pairs) {
    const prompt = tokenizer.encode(texts.prompt);
    const room = maxLength - prompt.length;
    if (prompt.length === 0 || room < 1) {
      result.dropped.push(id);
      continue;
    }
    const chosen = encodeCompletion(tokenizer, texts.chosen);
    const rejected = encodeCompletion(tokenizer, texts.rejected);
    if (chosen.length > room || rejected.length > room) result.cut.push(id);
    result.pairs.push({ id, prompt, chosen: chosen.slice(0, room), rejected: rejected.slice(0, room) });
  }
  return result;
}

/** A completion's ids with the end token, which a chat template may already have written. */
export function encodeCompletion(tokenizer: Tokenizer, text: string): number[] {
  const end = tokenizer.eosTokenId;
  if (end === null) {
    throw new PrefmeshError('TOKENIZER_INVALID', { file: 'tokenizer_config.json', problem: 'names no end token' });
  }
  const ids = tokenizer.encode(text, { addSpecialTokens: false });
  if (ids.at(-1) !== end) ids.push(end);
  return ids;
}

/** The pairs from which something can be learnt: those whose two completions differ as tokens. */
export function distinguishable(pairs: readonly TokenizedPair[]): TokenizedPair[] {
  return pairs.filter(({ chosen, rejected }) => {
    return chosen.length !== rejected.length || chosen.some((token, i) => token !== rejected[i]);
  });
}
