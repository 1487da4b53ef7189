/**
 * What became of the pairs of a file, by count: for the record of a run, for JSON output, and as notes for people.
 */
import { z } from 'zod';
import type { TokenizedPairs } from './tokenization.ts';

export const pairCountsSchema = z.object({
  /** Pairs in the file. */
  read: z.int(),
  /** Pairs that were used. */
  used: z.int(),
  /** Left out before that, in all. */
  dropped: z.int(),
  /** The same by reason; reasons that no pair had are not named. */
  droppedFor: z.record(z.string(), z.int()),
  /** Used with an answer cut at the longest length. */
  cut: z.int(),
  /** Used with prompt and answer tokenised apart. */
  apart: z.int(),
  /** Used with a prompt that ends just before the answer's text, for want of a generation prompt that fits. */
  atAnswerText: z.int(),
  /** Left out, for two answers that are the same. */
  equal: z.int(),
});

export type PairCounts = z.infer<typeof pairCountsSchema>;

/** @param equal pairs left out after tokenisation because their two answers are the same */
export function pairCounts({ pairs, dropped, cut, apart, atAnswerText }: TokenizedPairs, equal = 0): PairCounts {
  const droppedFor: Record<string, number> = {};
  for (const { reason } of dropped) droppedFor[reason] = (droppedFor[reason] ?? 0) + 1;
  return {
    read: pairs.length + dropped.length,
    used: pairs.length - equal,
    dropped: dropped.length,
    droppedFor,
    cut: cut.length,
    apart: apart.length,
    atAnswerText: atAnswerText.length,
    equal,
  };
}

/** One sentence for each count that a person should know of. */
export function countNotes({ droppedFor, cut, apart, atAnswerText }: PairCounts, maxLength: number): string[] {
  const dropped: Readonly<Record<string, string>> = {
    'prompt too long': `their prompts fill ${maxLength} tokens`,
    'no prompt': 'they have no prompt: their two texts do not begin alike',
    'boundary lost': 'tokenising prompt and answer apart would change their text',
  };
  return [
    ...Object.entries(droppedFor).map(([reason, count]) => `${count} pairs left out, ${dropped[reason] ?? reason}`),
    ...(cut > 0 ? [`${cut} pairs have an answer cut at ${maxLength} tokens`] : []),
    ...(apart > 0 ? [`${apart} pairs have prompt and answer tokenised apart, for a token would span both`] : []),
    ...(atAnswerText > 0
      ? [
          `in ${atAnswerText} pairs the prompt ends where the answer's text begins: the template asks otherwise than it writes`,
        ]
      : []),
  ];
}
