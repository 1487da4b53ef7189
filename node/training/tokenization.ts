/**
 * Pairs as token ids, the only form in which training sees them. `docs/decisions/0017-where-a-prompt-ends.md` has the
 * reasons for what is here.
 *
 * The boundary. Prompt and answer are tokenised together, and the prompt's own ids must be the beginning. Where a
 * token would span the boundary they are not; then the two are tokenised apart, as at generation, when the prompt is
 * all there is. The pair is left out if that changes the text. Without a prompt, the ids at which both texts begin are
 * the prompt: a split never falls into a token.
 *
 * The ends. The prompt carries one BOS if the model uses one, whoever writes it. A text without an end token gets the
 * model's; a turn written out by a chat template keeps its own, and what the template writes after it, such as
 * ChatML's line break, is dropped: generation stops at the end token, so nothing after it is ever the model's to write.
 *
 * The length, of prompt and one answer. A pair is left out when its prompt leaves no room for a single token; an
 * answer that does not fit is cut, and then has no end token, so that the model is not taught to stop there.
 */
import { PrefmeshError } from '../../protocol/errors.ts';
import type { Tokenizer } from '../model/tokenizer.ts';
import type { PreferencePair } from '../preferences/pairs.ts';
import type { TokenizedPair } from './policy.ts';

export interface TokenizeOptions {
  /** Most tokens of prompt and one completion together. */
  readonly maxLength: number;
}

/**
 * Why a pair is left out: its prompt leaves no room for an answer; it has no prompt, not even a BOS, to predict the
 * first token from; or tokenising prompt and answer apart would change the text.
 */
export type DropReason = 'prompt too long' | 'no prompt' | 'boundary lost';

export interface DroppedPair {
  readonly id: string;
  readonly reason: DropReason;
}

export interface TokenizedPairs {
  /** In the order given. */
  readonly pairs: TokenizedPair[];
  readonly dropped: DroppedPair[];
  /** Ids of pairs of which a completion was cut. */
  readonly cut: string[];
  /** Ids of pairs whose prompt and answer were tokenised apart, because a token would have spanned both. */
  readonly apart: string[];
  /** Ids of pairs whose chat template puts the boundary just before the answer's text. */
  readonly atAnswerText: string[];
}

/** A pair's ids before its length is looked at. */
interface Ids {
  readonly prompt: readonly number[];
  readonly chosen: readonly number[];
  readonly rejected: readonly number[];
  /** Whether prompt and an answer were tokenised apart. */
  readonly apart: boolean;
}

/** @throws TOKENIZER_INVALID when the model has no end token */
export function tokenizePairs(
  tokenizer: Tokenizer,
  pairs: readonly PreferencePair[],
  { maxLength }: TokenizeOptions,
): TokenizedPairs {
  const result: TokenizedPairs = { pairs: [], dropped: [], cut: [], apart: [], atAnswerText: [] };
  for (const pair of pairs) {
    const { id } = pair;
    const ids = idsOf(tokenizer, pair);
    const reason = ids === null ? 'boundary lost' : dropReason(ids, maxLength);
    if (ids === null || reason !== null) {
      result.dropped.push({ id, reason: reason ?? 'boundary lost' });
      continue;
    }
    const { prompt, chosen, rejected } = ids;
    const room = maxLength - prompt.length;
    if (chosen.length > room || rejected.length > room) result.cut.push(id);
    if (ids.apart) result.apart.push(id);
    if (pair.boundary === 'answer text') result.atAnswerText.push(id);
    result.pairs.push({ id, prompt, chosen: chosen.slice(0, room), rejected: rejected.slice(0, room) });
  }
  return result;
}

function dropReason({ prompt }: Ids, maxLength: number): DropReason | null {
  if (prompt.length === 0) return 'no prompt';
  return prompt.length >= maxLength ? 'prompt too long' : null;
}

/** Null where the boundary cannot be kept without changing the text. */
function idsOf(tokenizer: Tokenizer, { prompt: text, chosen, rejected, boundary }: PreferencePair): Ids | null {
  if (text === null) return splitAtSharedIds(tokenizer, chosen, rejected);
  const prompt = tokenizer.encode(text);
  const sides = [chosen, rejected].map((answer) => answerIds(tokenizer, text, prompt, answer));
  const [first, second] = sides;
  if (first == null || second == null) return null;
  const ended = ({ ids }: AnswerIds) => (boundary === undefined ? endedText : endedTurn)(tokenizer, ids);
  return { prompt, chosen: ended(first), rejected: ended(second), apart: first.apart || second.apart };
}

interface AnswerIds {
  readonly ids: number[];
  readonly apart: boolean;
}

function answerIds(
  tokenizer: Tokenizer,
  promptText: string,
  prompt: readonly number[],
  answer: string,
): AnswerIds | null {
  const whole = tokenizer.encode(promptText + answer);
  if (prompt.every((token, i) => token === whole[i])) return { ids: whole.slice(prompt.length), apart: false };
  const ids = tokenizer.encode(answer, { addSpecialTokens: false });
  const text = (tokens: readonly number[]) => tokenizer.decode(tokens, { skipSpecialTokens: false });
  return text([...prompt, ...ids]) === text(whole) ? { ids, apart: true } : null;
}

/** Splits two whole texts after the ids that they share. */
function splitAtSharedIds(tokenizer: Tokenizer, chosenText: string, rejectedText: string): Ids {
  const [chosen, rejected] = [tokenizer.encode(chosenText), tokenizer.encode(rejectedText)];
  let shared = 0;
  while (shared < Math.min(chosen.length, rejected.length) && chosen[shared] === rejected[shared]) shared++;
  return {
    prompt: chosen.slice(0, shared),
    chosen: endedText(tokenizer, chosen.slice(shared)),
    rejected: endedText(tokenizer, rejected.slice(shared)),
    apart: false,
  };
}

/** With the model's end token, unless it is there. */
function endedText(tokenizer: Tokenizer, ids: readonly number[]): number[] {
  const end = endToken(tokenizer);
  return ids.at(-1) === end ? [...ids] : [...ids, end];
}

/** Up to the special token that ends the turn, with only whitespace after it; else as a text. */
function endedTurn(tokenizer: Tokenizer, ids: readonly number[]): number[] {
  const last = ids.findLastIndex((id) => tokenizer.isSpecial(id));
  const endsTurn = last !== -1 && tokenizer.decode(ids.slice(last + 1)).trim() === '';
  return endsTurn ? ids.slice(0, last + 1) : endedText(tokenizer, ids);
}

function endToken({ eosTokenId }: Tokenizer): number {
  if (eosTokenId === null) {
    throw new PrefmeshError('TOKENIZER_INVALID', { file: 'tokenizer_config.json', problem: 'names no end token' });
  }
  return eosTokenId;
}

/** The pairs from which something can be learnt: those whose two completions differ as tokens. */
export function distinguishable(pairs: readonly TokenizedPair[]): TokenizedPair[] {
  return pairs.filter(({ chosen, rejected }) => {
    return chosen.length !== rejected.length || chosen.some((token, i) => token !== rejected[i]);
  });
}
