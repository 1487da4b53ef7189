/**
 * FedAvgM: momentum over rounds.
 *
 *   m ← β·m + Δ        applied: η·m
 *
 * m is kept rounded toward zero, so that it dies out where nothing is sent any more.
 *
 * Source: Hsu, Qi, Brown 2019, "Measuring the Effects of Non-Identical Data Distribution for Federated Visual
 * Classification" (arXiv 1909.06335), section 4.
 */
import { roundHalfAwayFromZero } from '../aggregation/rounding.ts';
import { LEARNING_RATE, MOMENTUM, NOTHING, type ServerOptimizer } from './serverOptimizer.ts';

export const fedAvgM: ServerOptimizer = {
  label: 'FedAvgM: momentum over rounds',
  parameters: [
    { ...LEARNING_RATE, default: 1 },
    { ...MOMENTUM, default: 0.9 },
  ],
  memories: [{ name: 'momentum', initial: NOTHING }],
  step({ update, memories: [before], parameters }) {
    const { learningRate, momentum } = parameters as { learningRate: number; momentum: number };
    const after = new Float64Array(update.length);
    const applied = new Float64Array(update.length);
    for (let i = 0; i < update.length; i++) {
      const m = Math.trunc(momentum * before![i]! + update[i]!);
      after[i] = m;
      applied[i] = roundHalfAwayFromZero(learningRate * m);
    }
    return { update: applied, memories: [after] };
  },
};
