/**
 * Alternating: odd rounds train and send only B, even rounds only A.
 *
 * A LoRA pair changes a weight by B·A. With one factor the same for everyone, the mean of the other is the mean of
 * the products, exactly:
 *
 *   odd rounds:   mean(B_i)·A = mean(B_i·A)        even rounds:   B·mean(A_i) = mean(B·A_i)
 *
 * at half the traffic of sending both. All updates weigh the same: pair counts are only claimed.
 *
 * Source: RoLoRA, "Robust Federated Finetuning of LLMs via Alternating Optimization of LoRA" (arXiv 2502.01755).
 */
import { exactMean } from './exactMean.ts';
import { alternatingFactor, one, type AggregationRule } from './rule.ts';

export const alternating: AggregationRule = {
  label: 'the factors by turns: the exact mean of the products',
  factorOf: alternatingFactor,
  parameters: [],
  fewest: one,
  aggregate: ({ updates, length }) => ({ values: exactMean(updates, length) }),
};
