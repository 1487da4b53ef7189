/**
 * What an aggregator measures of a round's adapter, and the gate that decides on it.
 *
 * A pair is correct when the implicit-reward margin of its chosen answer is positive, a tie when it is zero
 * (Rafailov et al. 2023, section 4). Counts are whole, so that a loss of
 * exactly what the gate allows is not a matter of rounding.
 */
import { z } from 'zod';

const count = z.int().min(0);

/** One adapter on one set of pairs. */
const setFiguresSchema = z
  .strictObject({
    pairs: z.int().min(1),
    correct: count,
    ties: count,
    /** Mean implicit-reward margin, chosen less rejected: β times nats. */
    meanMargin: z.number(),
    /** Perplexity of the chosen answers. */
    perplexity: z.number().positive(),
  })
  .refine(({ pairs, correct, ties }) => correct + ties <= pairs, { error: 'more correct and tied pairs than pairs' });

/** Answers of the round's adapter against the base model's, judged in both orders. */
const winRateSchema = z.strictObject({
  judge: z.string().min(1).max(128),
  prompts: z.int().min(1),
  wins: count,
  ties: count,
});

export const evaluationFiguresSchema = z
  .strictObject({
    /** On the evaluation set: reported, decides nothing. */
    evaluation: setFiguresSchema,
    /** On the root set: the round's adapter, and the one it started from. */
    root: setFiguresSchema,
    rootParent: setFiguresSchema,
    winRate: winRateSchema.nullable(),
  })
  .refine(({ root, rootParent }) => root.pairs === rootParent.pairs, { error: 'figures of two different root sets' });

export type SetFigures = z.infer<typeof setFiguresSchema>;
export type EvaluationFigures = z.infer<typeof evaluationFiguresSchema>;

/** Preference accuracy on the root set that the round loses, in percentage points, a tie half; negative when it gains. */
export function rootLossPoints({ root, rootParent }: EvaluationFigures): number {
  const halfPairsLost = 2 * rootParent.correct + rootParent.ties - 2 * root.correct - root.ties;
  return (50 * halfPairsLost) / root.pairs;
}
