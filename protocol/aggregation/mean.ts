/**
 * Mean: every round trains and sends both factors, each averaged apart. A baseline to compare with, not to use:
 *
 *   mean(B_i)·mean(A_i) = mean(B_i·A_i) - mean((B_i - mean B)·(A_i - mean A))
 *
 * so the result is off by the covariance of the factors, at twice the traffic.
 *
 * Source: FedIT, "Towards Building the Federated GPT" (arXiv 2305.05644); the error term as in FedEx-LoRA
 * (arXiv 2410.09432).
 */
import { exactMean } from './exactMean.ts';
import { one, type AggregationRule } from './rule.ts';

export const mean: AggregationRule = {
  label: 'baseline: both factors averaged apart, which is not the mean of the products',
  factorOf: () => 'both',
  parameters: [],
  fewest: one,
  aggregate: ({ updates, length }) => ({ values: exactMean(updates, length) }),
};
