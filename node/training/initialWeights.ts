/**
 * Seeded initial weights of a Llama-family model, as GPT-2 draws them: normal with deviation 0.02, the projections that
 * write into the residual stream smaller by √(2 · layers), norms at one, biases at zero.
 */

import { sizeOf } from '../engine/graph.ts';
import type { ModelConfig } from '../model/config.ts';
import { expectedTensors } from '../model/weights.ts';
import { RandomStream } from './randomStream.ts';

const DEVIATION = 0.02;

/** Weights by Hugging Face name; the same seed gives the same numbers everywhere. */
export function initialWeights(config: ModelConfig, seed: number): Map<string, Float32Array> {
  const residual = DEVIATION / Math.sqrt(2 * config.layers);
  return new Map(
    [...expectedTensors(config)].map(([name, shape]) => {
      const data = new Float32Array(sizeOf(shape));
      if (name.endsWith('norm.weight')) return [name, data.fill(1)];
      if (name.endsWith('.bias')) return [name, data];
      const deviation = /o_proj|down_proj/.test(name) ? residual : DEVIATION;
      const stream = new RandomStream(seed, 'initial weights', name);
      return [name, data.map(() => deviation * normal(stream))];
    }),
  );
}

/** A standard normal number: twelve uniform ones less six, which is exact on every machine, unlike `Math.log`. */
function normal(stream: RandomStream): number {
  let total = -6;
  for (let i = 0; i < 12; i++) total += stream.uniform();
  return total;
}
