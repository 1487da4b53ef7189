/**
 * The seven linear maps of a Llama block: their names, paths and shapes.
 */

import type { ModelConfig } from './config.ts';

/** The projections of a Llama block that can carry an adapter, in their order within a layer. */
export const TARGET_MODULES = ['q_proj', 'k_proj', 'v_proj', 'o_proj', 'gate_proj', 'up_proj', 'down_proj'] as const;

export type TargetModule = (typeof TARGET_MODULES)[number];

/** `self_attn.q_proj` and the like: the path of a projection within its layer. */
export function projectionPath(target: TargetModule): string {
  switch (target) {
    case 'q_proj':
    case 'k_proj':
    case 'v_proj':
    case 'o_proj':
      return `self_attn.${target}`;
    case 'gate_proj':
    case 'up_proj':
    case 'down_proj':
      return `mlp.${target}`;
  }
}

/** `[out, in]` of a projection's weight. */
export function projectionShape(config: ModelConfig, target: TargetModule): readonly [number, number] {
  const { hiddenSize, intermediateSize, heads, kvHeads, headDim } = config;
  switch (target) {
    case 'q_proj':
      return [heads * headDim, hiddenSize];
    case 'k_proj':
    case 'v_proj':
      return [kvHeads * headDim, hiddenSize];
    case 'o_proj':
      return [hiddenSize, heads * headDim];
    case 'gate_proj':
    case 'up_proj':
      return [intermediateSize, hiddenSize];
    case 'down_proj':
      return [hiddenSize, intermediateSize];
  }
}

/** The Hugging Face name of a projection's weight. */
export function projectionName(layer: number, target: TargetModule): string {
  return `model.layers.${layer}.${projectionPath(target)}.weight`;
}
