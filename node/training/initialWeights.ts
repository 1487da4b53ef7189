/**
 * Seeded initial weights of a Llama-family model, as GPT-2 draws them: normal with deviation 0.02, the projections that
 * write into the residual stream smaller by √(2 · layers), norms at one, biases at zero.
 */

import { sizeOf } from '../engine/graph.ts';
import type { ModelConfig } from '../model/config.ts';
import { llamaWeights } from '../model/llama.ts';

const DEVIATION = 0.02;

/** Weights by Hugging Face name; the same seed gives the same numbers everywhere. */
export function initialWeights(config: ModelConfig, seed: number): Map<string, Float32Array> {
  const normal = seededNormal(seed);
  const residual = DEVIATION / Math.sqrt(2 * config.layers);
  return new Map(
    llamaWeights(config).map(({ name, shape }) => {
      const data = new Float32Array(sizeOf(shape));
      if (name.endsWith('norm.weight')) return [name, data.fill(1)];
      if (name.endsWith('.bias')) return [name, data];
      const deviation = /o_proj|down_proj/.test(name) ? residual : DEVIATION;
      return [name, data.map(() => deviation * normal())];
    }),
  );
}

/** Standard normal numbers by the sum of twelve uniform ones less six: exact on every machine, unlike `Math.log`. */
function seededNormal(seed: number): () => number {
  let state = seed >>> 0;
  const uniform = (): number => {
    // mulberry32
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
  return () => {
    let total = -6;
    for (let i = 0; i < 12; i++) total += uniform();
    return total;
  };
}
