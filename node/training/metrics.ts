/**
 * What a training step reports, under the names the field uses. All values are those before the step's update.
 */
import type { TokenizedPair } from './policy.ts';
import { sigmoidLossOf } from './preferenceLoss.ts';

/** Summed log-probabilities in nats, one entry per pair. */
export interface LogProbs {
  readonly chosen: Float64Array;
  readonly rejected: Float64Array;
}

export interface StepMetrics {
  /** From 1. */
  readonly step: number;
  /** Mean over the step's pairs, in nats. */
  readonly loss: number;
  /** L2 norm over the trained factor, before clipping. */
  readonly grad_norm: number;
  readonly learning_rate: number;
  /** Means of β (log π − log π_ref) over the step's pairs. */
  readonly 'rewards/chosen': number;
  readonly 'rewards/rejected': number;
  /** Share of pairs whose chosen reward is strictly above the rejected one. */
  readonly 'rewards/accuracies': number;
  readonly 'rewards/margins': number;
  /** Means of the summed log-probabilities, in nats. */
  readonly 'logps/chosen': number;
  readonly 'logps/rejected': number;
  /** Prompt and completion tokens seen since the run began, the prompt counted once for each completion. */
  readonly num_tokens: number;
  /** Seconds. */
  readonly step_time: number;
}

export type RewardMetrics = Pick<
  StepMetrics,
  'rewards/chosen' | 'rewards/rejected' | 'rewards/accuracies' | 'rewards/margins' | 'logps/chosen' | 'logps/rejected'
>;

/** Rewards and log-probabilities of a set of pairs, averaged. */
export function rewardMetrics(policy: LogProbs, reference: LogProbs, beta: number): RewardMetrics {
  const count = policy.chosen.length;
  let [chosen, rejected, wins, logChosen, logRejected] = [0, 0, 0, 0, 0];
  for (let i = 0; i < count; i++) {
    const rewardChosen = beta * (policy.chosen[i]! - reference.chosen[i]!);
    const rewardRejected = beta * (policy.rejected[i]! - reference.rejected[i]!);
    chosen += rewardChosen;
    rejected += rewardRejected;
    if (rewardChosen > rewardRejected) wins++;
    logChosen += policy.chosen[i]!;
    logRejected += policy.rejected[i]!;
  }
  return {
    'rewards/chosen': chosen / count,
    'rewards/rejected': rejected / count,
    'rewards/accuracies': wins / count,
    'rewards/margins': (chosen - rejected) / count,
    'logps/chosen': logChosen / count,
    'logps/rejected': logRejected / count,
  };
}

/** Tokens of a pair as `num_tokens` counts them. */
export function tokenCount({ prompt, chosen, rejected }: TokenizedPair): number {
  return 2 * prompt.length + chosen.length + rejected.length;
}

/** Mean DPO sigmoid loss of a set of pairs, in nats. */
export function sigmoidLoss(policy: LogProbs, reference: LogProbs, beta: number): number {
  let sum = 0;
  for (let i = 0; i < policy.chosen.length; i++) {
    const chosen = policy.chosen[i]! - reference.chosen[i]!;
    const rejected = policy.rejected[i]! - reference.rejected[i]!;
    sum += sigmoidLossOf(chosen - rejected, beta);
  }
  return sum / policy.chosen.length;
}
