/**
 * Watching a run on pairs it does not train on: the loss there, and when to stop.
 *
 * The loss, not the accuracy, decides: it is a proper score, and moves when accuracy on a small set does not.
 */
import { rewardMetrics, type LogProbs, type RewardMetrics } from './metrics.ts';
import type { Policy, TokenizedPair } from './policy.ts';
import { batchLoss, type LossTerms } from './preferenceLoss.ts';
import type { BestAdapter } from './trainingState.ts';

/** The usual names of `RewardMetrics`, each with `eval_` before it. */
export type EvaluationMetrics = {
  /** Steps made before the evaluation. */
  readonly step: number;
  readonly eval_loss: number;
  /** Seconds. */
  readonly eval_runtime: number;
  readonly eval_samples_per_second: number;
} & { readonly [Name in keyof RewardMetrics as `eval_${Name}`]: number };

export interface EvaluationSet {
  readonly pairs: readonly TokenizedPair[];
  /** Of the same reference as training's, `[pairs]`. */
  readonly reference: LogProbs;
  /** Those of training. */
  readonly terms: LossTerms;
}

/** When a run that is watched ends before its last step. */
export interface EarlyStop {
  /** Evaluations in a row without a lower loss. */
  readonly patience: number;
  /** Nats by which a loss must be lower to count as lower. */
  readonly delta: number;
}

/** Loss and rewards of the evaluation set under an adapter. */
export async function evaluateLoss(
  policy: Policy,
  { pairs, reference, terms }: EvaluationSet,
  adapter: Float32Array,
  step: number,
  options: { readonly signal?: AbortSignal } = {},
): Promise<EvaluationMetrics> {
  const started = performance.now();
  const logProbs = await policy.logProbs(pairs, adapter, options);
  const seconds = (performance.now() - started) / 1000;
  const rewards = rewardMetrics(logProbs, reference, terms.beta);
  return {
    step,
    eval_loss: batchLoss(terms, pairs, logProbs, reference).loss,
    'eval_rewards/chosen': rewards['rewards/chosen'],
    'eval_rewards/rejected': rewards['rewards/rejected'],
    'eval_rewards/accuracies': rewards['rewards/accuracies'],
    'eval_rewards/ties': rewards['rewards/ties'],
    'eval_rewards/margins': rewards['rewards/margins'],
    'eval_logps/chosen': rewards['logps/chosen'],
    'eval_logps/rejected': rewards['logps/rejected'],
    eval_runtime: seconds,
    eval_samples_per_second: pairs.length / seconds,
  };
}

/**
 * The best adapter after one more evaluation; `adapter` is copied if it is the new best.
 *
 * @param delta nats by which its loss must be below the best one
 */
export function better(
  best: BestAdapter | null,
  { step, eval_loss: loss }: EvaluationMetrics,
  adapter: Float32Array,
  delta = 0,
): BestAdapter {
  if (best === null || loss < best.loss - delta) return { adapter: adapter.slice(), loss, step, waited: 0 };
  return { ...best, waited: best.waited + 1 };
}
