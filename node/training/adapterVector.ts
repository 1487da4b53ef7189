/**
 * Where every LoRA tensor lives in the one flat vector that is trained, sent and averaged.
 *
 * Entries are ordered by layer, then by target in the order of `TARGET_MODULES`, A before B; each tensor is stored
 * row by row. A is `[rank, in]` and B is `[out, rank]`, so that `y = W x + scale · B (A x)`.
 */

import type { ModelConfig } from '../model/config.ts';
import { projectionPath, projectionShape, TARGET_MODULES, type TargetModule } from '../model/projections.ts';

export { projectionPath, TARGET_MODULES, type TargetModule };

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
