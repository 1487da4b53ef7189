/**
 * How well a candidate prefers what people chose.
 *
 * The implicit reward of an answer is β times the log-ratio of candidate and reference (Rafailov et al. 2023,
 * section 4); a pair's margin is the reward of its chosen answer minus that of its rejected one. A pair counts as
 * correct when its margin is above zero; a margin of exactly zero, which the bare reference has everywhere, is a tie.
 */
import { PrefmeshError } from '../../protocol/errors.ts';
import { type Proportion, proportion } from './intervals.ts';
import { perplexity } from './perplexity.ts';

/** Summed log-probabilities of pairs in nats, each array `[pairs]`. */
export interface PairLogProbs {
  readonly chosen: ArrayLike<number>;
  readonly rejected: ArrayLike<number>;
  /** Scored tokens of each chosen answer. */
  readonly chosenTokens: ArrayLike<number>;
}

export interface PreferenceFigures {
  readonly accuracy: Proportion;
  /** Mean of the margins, in nats times β. */
  readonly meanMargin: number;
  readonly medianMargin: number;
  /** Of the chosen answers under the candidate, per token. */
  readonly perplexity: number;
  /** Of the chosen answers under the reference, per token. */
  readonly basePerplexity: number;
  /** Accuracy apart for each group, such as a taste, in order of first appearance; only when groups were given. */
  readonly byGroup?: Readonly<Record<string, Proportion>>;
}

export interface PreferenceFiguresOptions {
  /** The group of each pair, `[pairs]`. */
  readonly groups?: readonly string[];
  /** The id of each pair, `[pairs]`, to name one that has no finite figure. */
  readonly ids?: readonly string[];
}

/**
 * The preference figures of a candidate against its reference, over the same pairs in the same order.
 *
 * @throws LOG_PROBS_NOT_FINITE
 */
export function preferenceFigures(
  candidate: PairLogProbs,
  reference: PairLogProbs,
  beta: number,
  { groups, ids }: PreferenceFiguresOptions = {},
): PreferenceFigures {
  const id = (index: number) => ids?.[index] ?? `number ${index + 1}`;
  requireFinite(candidate, 'the candidate', id);
  requireFinite(reference, 'the reference', id);
  const margins = preferenceMargins(candidate, reference, beta);
  const figures = {
    accuracy: accuracyOf(margins),
    meanMargin: margins.reduce((sum, margin) => sum + margin, 0) / margins.length,
    medianMargin: median(margins),
    perplexity: perplexity(candidate.chosen, candidate.chosenTokens),
    basePerplexity: perplexity(reference.chosen, reference.chosenTokens),
  };
  return groups === undefined ? figures : { ...figures, byGroup: accuracyByGroup(margins, groups) };
}

/** The margin of each pair, `[pairs]`. */
export function preferenceMargins(candidate: PairLogProbs, reference: PairLogProbs, beta: number): Float64Array {
  const pairs = candidate.chosen.length;
  if (candidate.rejected.length !== pairs || reference.chosen.length !== pairs || reference.rejected.length !== pairs) {
    throw new RangeError('candidate and reference are not of the same pairs');
  }
  const at = (values: ArrayLike<number>, index: number) => values[index] ?? Number.NaN;
  return Float64Array.from({ length: pairs }, (_, index) => {
    const chosenReward = at(candidate.chosen, index) - at(reference.chosen, index);
    const rejectedReward = at(candidate.rejected, index) - at(reference.rejected, index);
    return beta * (chosenReward - rejectedReward);
  });
}

function accuracyOf(margins: ArrayLike<number>): Proportion {
  let wins = 0;
  let ties = 0;
  for (let index = 0; index < margins.length; index++) {
    const margin = margins[index] ?? Number.NaN;
    if (margin > 0) wins++;
    else if (margin === 0) ties++;
  }
  return proportion(wins, ties, margins.length);
}

function accuracyByGroup(margins: Float64Array, groups: readonly string[]): Record<string, Proportion> {
  const byGroup = new Map<string, number[]>();
  for (const [index, margin] of margins.entries()) {
    const group = groups[index];
    if (group === undefined) throw new RangeError('a pair has no group');
    const members = byGroup.get(group);
    if (members === undefined) byGroup.set(group, [margin]);
    else members.push(margin);
  }
  return Object.fromEntries([...byGroup].map(([group, members]) => [group, accuracyOf(members)]));
}

function median(values: Float64Array): number {
  const sorted = values.toSorted();
  const middle = sorted.length >> 1;
  const upper = sorted[middle] ?? Number.NaN;
  return sorted.length % 2 === 1 ? upper : ((sorted[middle - 1] ?? Number.NaN) + upper) / 2;
}

function requireFinite(logProbs: PairLogProbs, under: string, id: (index: number) => string): void {
  for (const values of [logProbs.chosen, logProbs.rejected]) {
    for (let index = 0; index < values.length; index++) {
      const value = values[index] ?? Number.NaN;
      if (!Number.isFinite(value)) throw new PrefmeshError('LOG_PROBS_NOT_FINITE', { id: id(index), under, value });
    }
  }
}
