/**
 * What a training step reports, under the names the field uses. All values are those before the step's update.
 */
import type { TokenizedPair } from './policy.ts';

/** Summed log-probabilities in nats, one entry per pair. */
export interface LogProbs {
  readonly chosen: Float64Array;
  readonly rejected: Float64Array;
}

export interface StepMetrics {
  /** From 1. */
  readonly step: number;
  /** Of the step's pairs, the SFT term included, in nats. */
  readonly loss: number;
  /** The SFT term before its weight: see `BatchLoss`. Only where the run has one. */
  readonly sft_loss?: number;
  /** L2 norm over the trained factor, before clipping. */
  readonly grad_norm: number;
  readonly learning_rate: number;
  /** Means of β (log π − log π_ref) over the step's pairs. */
  readonly 'rewards/chosen': number;
  readonly 'rewards/rejected': number;
  /** Share of pairs whose chosen reward is strictly above the rejected one. */
  readonly 'rewards/accuracies': number;
  /** Share of pairs whose two rewards are equal; all of them, as long as the adapter does nothing. */
  readonly 'rewards/ties': number;
  readonly 'rewards/margins': number;
  /** Means of the summed log-probabilities, in nats. */
  readonly 'logps/chosen': number;
  readonly 'logps/rejected': number;
  /** Prompt and completion tokens seen since the run began, the prompt counted once for each completion. */
  readonly num_tokens: number;
  /** Seconds. */
  readonly step_time: number;
  /** Tokens of this step, counted likewise, over its time. */
  readonly tokens_per_second: number;
  /** Share of the tokens that ran in this step which were padding. */
  readonly padding: number;
  /** How often the pairs have been gone through when the step is made; rises by parts. */
  readonly epoch: number;
}

export type RewardMetrics = Pick<
  StepMetrics,
  | 'rewards/chosen'
  | 'rewards/rejected'
  | 'rewards/accuracies'
  | 'rewards/ties'
  | 'rewards/margins'
  | 'logps/chosen'
  | 'logps/rejected'
>;

/**
 * Rewards and log-probabilities of a set of pairs, averaged. Whatever the loss, a reward is β times the log-ratio of
 * the whole answer, so that runs with different losses can be compared; TRL does the same.
 */
export function rewardMetrics(policy: LogProbs, reference: LogProbs, beta: number): RewardMetrics {
  const count = policy.chosen.length;
  let [chosen, rejected, wins, ties, logChosen, logRejected] = [0, 0, 0, 0, 0, 0];
  for (let i = 0; i < count; i++) {
    const rewardChosen = beta * (policy.chosen[i]! - reference.chosen[i]!);
    const rewardRejected = beta * (policy.rejected[i]! - reference.rejected[i]!);
    chosen += rewardChosen;
    rejected += rewardRejected;
    if (rewardChosen > rewardRejected) wins++;
    if (rewardChosen === rewardRejected) ties++;
    logChosen += policy.chosen[i]!;
    logRejected += policy.rejected[i]!;
  }
  return {
    'rewards/chosen': chosen / count,
    'rewards/rejected': rejected / count,
    'rewards/accuracies': wins / count,
    'rewards/ties': ties / count,
    'rewards/margins': (chosen - rejected) / count,
    'logps/chosen': logChosen / count,
    'logps/rejected': logRejected / count,
  };
}

/** Tokens of a pair as `num_tokens` counts them. */
export function tokenCount({ prompt, chosen, rejected }: TokenizedPair): number {
  return 2 * prompt.length + chosen.length + rejected.length;
}
