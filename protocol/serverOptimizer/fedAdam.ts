/**
 * FedAdam: each coordinate's step is scaled by how much that coordinate has moved in the rounds before.
 *
 *   m ← β1·m + (1 − β1)·Δ        s ← √(β2·s² + (1 − β2)·Δ²)        applied: η·m / (s + τ)
 *
 * s is the root of the paper's v: it has the scale of the adapter, and fits the integers that Δ fits. It begins at τ,
 * as v does at τ². There is no correction of the first steps' bias, as there is none in the paper. m and s are kept
 * rounded toward zero, so that they die out where nothing is sent any more.
 *
 * Source: Reddi et al. 2021, "Adaptive Federated Optimization" (arXiv 2003.00295), algorithm 2.
 */
import { roundHalfAwayFromZero } from '../aggregation/rounding.ts';
import { LEARNING_RATE, MOMENTUM, NOTHING, type ServerOptimizer } from './serverOptimizer.ts';

export const fedAdam: ServerOptimizer = {
  label: 'FedAdam: steps scaled by how much each coordinate has moved',
  parameters: [
    { ...LEARNING_RATE, default: 0.01 },
    { ...MOMENTUM, default: 0.9 },
    { name: 'secondMomentum', min: 0, max: 0.99999, default: 0.99 },
    { name: 'adaptivity', min: 1e-8, max: 1, default: 1e-3 },
  ],
  memories: [
    { name: 'momentum', initial: NOTHING },
    { name: 'spread', initial: ({ adaptivity }, bits) => roundHalfAwayFromZero(adaptivity! * 2 ** bits) },
  ],
  step({ update, memories: [momentumBefore, spreadBefore], parameters, bits }) {
    const { learningRate, momentum, secondMomentum, adaptivity } = parameters as Record<
      'learningRate' | 'momentum' | 'secondMomentum' | 'adaptivity',
      number
    >;
    const unit = 2 ** -bits;
    const momentumAfter = new Float64Array(update.length);
    const spreadAfter = new Float64Array(update.length);
    const applied = new Float64Array(update.length);
    for (let i = 0; i < update.length; i++) {
      const u = update[i]!;
      const spread = spreadBefore![i]!;
      const m = Math.trunc(momentum * momentumBefore![i]! + (1 - momentum) * u);
      const s = Math.trunc(Math.sqrt(secondMomentum * (spread * spread) + (1 - secondMomentum) * (u * u)));
      momentumAfter[i] = m;
      spreadAfter[i] = s;
      applied[i] = roundHalfAwayFromZero((learningRate * m) / (s * unit + adaptivity));
    }
    return { update: applied, memories: [momentumAfter, spreadAfter] };
  },
};
