/**
 * The projections of a frozen model with a LoRA adapter on some of them.
 */

import { loraLinear } from '../engine/composites/loraLinear.ts';
import { input, sizeOf, type Value } from '../engine/graph.ts';
import { add } from '../engine/operators/elementwise.ts';
import { reshape, sliceAxis } from '../engine/operators/layout.ts';
import { matmul } from '../engine/operators/matmul.ts';
import type { ModelConfig } from '../model/config.ts';
import type { FrozenModel } from '../model/frozenModel.ts';
import type { LlamaParts } from '../model/llama.ts';
import { projectionName } from '../model/projections.ts';
import { adapterVectorLength, adapterVectorTable, type AdapterLayout } from './adapterVector.ts';

export interface AdaptedProjection {
  /** The adapter's matrices, parts of the input `adapter`, in the order of its table. */
  readonly factors: readonly Value[];
  readonly project: LlamaParts['project'];
}

/** Adds the input `adapter`, the flat vector of `layout`, to the graph. */
export function adaptedProjection(
  config: ModelConfig,
  frozen: FrozenModel,
  { layout, scale }: { readonly layout: AdapterLayout; readonly scale: number },
): AdaptedProjection {
  const table = adapterVectorTable(config, layout);
  const adapter = input('adapter', [adapterVectorLength(table)]);
  const factors = table.map(({ offset, shape }) => reshape(sliceAxis(adapter, 0, offset, sizeOf(shape)), shape));
  const find = (layer: number, target: string, factor: 'A' | 'B'): Value | undefined =>
    factors[table.findIndex((entry) => entry.layer === layer && entry.target === target && entry.factor === factor)];
  const project: LlamaParts['project'] = (x, layer, target) => {
    const [a, b] = [find(layer, target, 'A'), find(layer, target, 'B')];
    if (a === undefined || b === undefined) return frozen.project(x, layer, target);
    if (frozen.isPacked(layer, target)) return add(frozen.project(x, layer, target), lowRank(x, a, b, scale));
    return loraLinear(x, frozen.weight(projectionName(layer, target)), a, b, { scale });
  };
  return { factors, project };
}

/** `scale · (x Aᵀ) Bᵀ`: what the adapter adds. */
function lowRank(x: Value, a: Value, b: Value, scale: number): Value {
  return matmul(matmul(x, a, { transposeB: true, exact: true }), b, { transposeB: true, alpha: scale, exact: true });
}
