/**
 * Win rate of a candidate's answers over a baseline's, under a named judge.
 *
 * Judges favour a position, so each prompt is judged twice, with the answers in either order. A verdict that changes
 * with the order says nothing and counts as a tie; so do two equal answers, which no judge is asked about.
 */
import { type Proportion, proportion } from './intervals.ts';
import type { Judge, Verdict } from './judges/judge.ts';

export interface AnswerPair {
  readonly prompt: string;
  readonly candidate: string;
  readonly baseline: string;
}

export interface WinRate extends Proportion {
  /** How many of the ties are verdicts that changed with the order. */
  readonly inconsistent: number;
  readonly judge: string;
}

export interface WinRateOptions {
  readonly signal?: AbortSignal;
  /** How many prompts are judged at once. */
  readonly concurrency?: number;
  /** Called after each judged prompt with how many are done. */
  readonly onJudged?: (done: number) => void;
}

/** @param answers at least one */
export async function winRate(
  judge: Judge,
  answers: readonly AnswerPair[],
  { signal, concurrency = 1, onJudged }: WinRateOptions = {},
): Promise<WinRate> {
  const counts = { win: 0, loss: 0, tie: 0, inconsistent: 0 };
  const remaining = answers.values();
  let done = 0;
  const work = async () => {
    for (const pair of remaining) {
      signal?.throwIfAborted();
      counts[await outcome(judge, pair, signal)]++;
      onJudged?.(++done);
    }
  };
  await Promise.all(Array.from({ length: concurrency }, work));
  const ties = counts.tie + counts.inconsistent;
  return { ...proportion(counts.win, ties, answers.length), inconsistent: counts.inconsistent, judge: judge.name };
}

async function outcome(
  judge: Judge,
  { prompt, candidate, baseline }: AnswerPair,
  signal: AbortSignal | undefined,
): Promise<'win' | 'loss' | 'tie' | 'inconsistent'> {
  if (candidate === baseline) return 'tie';
  const options = signal === undefined ? {} : { signal };
  const forward = await judge.compare(prompt, candidate, baseline, options);
  const backward = flip(await judge.compare(prompt, baseline, candidate, options));
  if (forward !== backward) return 'inconsistent';
  switch (forward) {
    case 'first':
      return 'win';
    case 'second':
      return 'loss';
    case 'tie':
      return 'tie';
  }
}

function flip(verdict: Verdict): Verdict {
  return verdict === 'first' ? 'second' : verdict === 'second' ? 'first' : 'tie';
}
