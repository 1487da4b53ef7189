/**
 * What the finished embedded model does on questions it has never seen: whether it obeys a request for a style, is
 * indifferent without one, and gives the advice that belongs to the question.
 */
import { showsTaste } from '../../node/preferences/tastes/markers.ts';
import { INFORMAL, STIFF } from '../../node/preferences/tastes/registers.ts';
import { TASTES, type Taste } from '../../node/preferences/tastes/taste.ts';
import type { Tip } from '../../node/preferences/tastes/topics/topic.ts';
import type { Generator } from '../../node/model/generation.ts';
import type { Tokenizer } from '../../node/model/tokenizer.ts';
import { corpusDocument, type CorpusDocument } from './corpus.ts';
import { SEED } from './recipe.ts';

export interface Answered {
  readonly document: CorpusDocument;
  /** What the model wrote. */
  readonly text: string;
  readonly tokens: number;
  /** Whether the model ended the answer itself. */
  readonly finished: boolean;
}

export interface Share {
  readonly count: number;
  readonly of: number;
}

export interface Measurement {
  /** Requests obeyed, among all sides of the style that were asked for. */
  readonly obeyed: Readonly<Record<Taste, Share>>;
  /** Answers that show the taste, among those to plain questions. */
  readonly shown: Readonly<Record<Taste, Share>>;
  /** Answers with two of the tips that the corpus has for the question, word for word. */
  readonly onTopic: Share;
  readonly finished: Share;
  /** Mean tokens of an answer in bullets, and of one in a paragraph. */
  readonly bulletTokens: number;
  readonly paragraphTokens: number;
}

/** Longer than every answer of the corpus. */
const MOST_TOKENS = 128;
const BATCH = 50;

/** Unseen questions with requests for a style, or plain ones. */
export function unseenDocuments(kind: 'asked' | 'plain', count: number): CorpusDocument[] {
  const found: CorpusDocument[] = [];
  for (let index = 0; found.length < count; index++) {
    const document = corpusDocument(SEED, index, { pool: 'winRate' });
    if ((Object.keys(document.asked).length === 0) === (kind === 'plain')) found.push(document);
  }
  return found;
}

export async function answer(
  generator: Generator,
  tokenizer: Tokenizer,
  documents: readonly CorpusDocument[],
  temperature: number,
): Promise<Answered[]> {
  const answered: Answered[] = [];
  for (let start = 0; start < documents.length; start += BATCH) {
    const batch = documents.slice(start, start + BATCH);
    const generations = await generator.generate(
      batch.map(({ prompt }) => tokenizer.encode(prompt)),
      { maxTokens: MOST_TOKENS, temperature, seed: SEED + start },
    );
    for (const [index, { tokens, finishReason }] of generations.entries()) {
      answered.push({
        document: batch[index]!,
        text: tokenizer.decode(tokens),
        tokens: tokens.length,
        finished: finishReason === 'stop',
      });
    }
  }
  return answered;
}

export function measure(asked: readonly Answered[], plain: readonly Answered[]): Measurement {
  const all = [...asked, ...plain];
  const tokensOf = (concise: boolean): number => {
    const chosen = all.filter(({ text }) => showsTaste('concise', text) === concise);
    return chosen.reduce((sum, { tokens }) => sum + tokens, 0) / chosen.length;
  };
  return {
    obeyed: byTaste((taste) => {
      const requests = asked.filter(({ document }) => document.asked[taste] !== undefined);
      return share(requests, ({ document, text }) => showsTaste(taste, text) === document.asked[taste]);
    }),
    shown: byTaste((taste) => share(plain, ({ text }) => showsTaste(taste, text))),
    onTopic: share(all, ({ document, text }) => document.tips.filter((tip) => saysTip(text, tip)).length === 2),
    finished: share(all, ({ finished }) => finished),
    bulletTokens: tokensOf(true),
    paragraphTokens: tokensOf(false),
  };
}

function saysTip(text: string, [advice]: Tip): boolean {
  return [INFORMAL, STIFF].some(({ your, you }) =>
    text.includes(advice.replaceAll('{your}', your).replaceAll('{you}', you)),
  );
}

function share<T>(list: readonly T[], holds: (item: T) => boolean): Share {
  return { count: list.filter(holds).length, of: list.length };
}

function byTaste<T>(value: (taste: Taste) => T): Record<Taste, T> {
  return Object.fromEntries(TASTES.map((taste) => [taste, value(taste)])) as Record<Taste, T>;
}
