/**
 * DiLoCo's outer optimiser: Nesterov momentum over rounds.
 *
 *   m ← μ·m + Δ        applied: η·(Δ + μ·m)
 *
 * as SGD of PyTorch has it with `nesterov=True`, the gradient being −Δ. m is kept rounded toward zero, so that it dies
 * out where nothing is sent any more.
 *
 * Source: Douillard et al. 2023, "DiLoCo: Distributed Low-Communication Training of Language Models" (arXiv 2311.08105),
 * section 2 and table 5: η = 0.7, μ = 0.9.
 */
import { roundHalfAwayFromZero } from '../aggregation/rounding.ts';
import { LEARNING_RATE, MOMENTUM, NOTHING, type ServerOptimizer } from './serverOptimizer.ts';

export const diloco: ServerOptimizer = {
  label: 'the outer step of DiLoCo: Nesterov momentum over rounds',
  parameters: [
    { ...LEARNING_RATE, default: 0.7 },
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
      applied[i] = roundHalfAwayFromZero(learningRate * (update[i]! + momentum * m));
    }
    return { update: applied, memories: [after] };
  },
};
