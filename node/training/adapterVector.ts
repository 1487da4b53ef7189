/**
 * Where every LoRA tensor lives in the one flat vector that is trained, sent and averaged.
 *
 * Entries are ordered by layer, then by target in the order of `TARGET_MODULES`, A before B; each tensor is stored
 * row by row. A is `[rank, in]` and B is `[out, rank]`, so that `y = W x + scale · B (A x)`.
 */

import type { ModelConfig } from '../model/config.ts';

/** The projections of a Llama block that can carry an adapter, in their order within a layer. */
export const TARGET_MODULES = ['q_proj', 'k_proj', 'v_proj', 'o_proj', 'gate_proj', 'up_proj', 'down_proj'] as const;

export type TargetModule = (typeof TARGET_MODULES)[number];

export interface AdapterLayout {
  readonly rank: number;
  readonly targets: readonly TargetModule[];
}

export interface AdapterVectorEntry {
  /** The key PEFT gives the tensor, e.g. `base_model.model.model.layers.0.self_attn.q_proj.lora_A.weight`. */
  readonly name: string;
  readonly layer: number;
  readonly target: TargetModule;
  readonly factor: 'A' | 'B';
  /** `[rank, in]` for A, `[out, rank]` for B. */
  readonly shape: readonly [number, number];
  /** Index of the tensor's first number in the flat vector. */
  readonly offset: number;
}

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

/** The table of all LoRA tensors of a model under a layout. */
export function adapterVectorTable(config: ModelConfig, layout: AdapterLayout): AdapterVectorEntry[] {
  const targets = TARGET_MODULES.filter((target) => layout.targets.includes(target));
  const table: AdapterVectorEntry[] = [];
  let offset = 0;
  for (let layer = 0; layer < config.layers; layer++) {
    for (const target of targets) {
      const [out, width] = projectionShape(config, target);
      const path = `base_model.model.model.layers.${layer}.${projectionPath(target)}`;
      const add = (factor: 'A' | 'B', shape: readonly [number, number]) => {
        table.push({ name: `${path}.lora_${factor}.weight`, layer, target, factor, shape, offset });
        offset += shape[0] * shape[1];
      };
      add('A', [layout.rank, width]);
      add('B', [out, layout.rank]);
    }
  }
  return table;
}

/** How many numbers the flat vector of a table holds. */
export function adapterVectorLength(table: readonly AdapterVectorEntry[]): number {
  const last = table.at(-1);
  return last === undefined ? 0 : last.offset + last.shape[0] * last.shape[1];
}
