/**
 * The projections of a frozen model with a LoRA adapter on some of them.
 */

import { loraLinear } from '../engine/composites/loraLinear.ts';
import { input, sizeOf, type Value } from '../engine/graph.ts';
import { reshape, sliceAxis } from '../engine/operators/layout.ts';
import type { ModelConfig } from '../model/config.ts';
import { plainProjection, type LlamaParts } from '../model/llama.ts';
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
  weight: (name: string) => Value,
  { layout, scale }: { readonly layout: AdapterLayout; readonly scale: number },
): AdaptedProjection {
  const table = adapterVectorTable(config, layout);
  const adapter = input('adapter', [adapterVectorLength(table)]);
  const factors = table.map(({ offset, shape }) => reshape(sliceAxis(adapter, 0, offset, sizeOf(shape)), shape));
  const find = (layer: number, target: string, factor: 'A' | 'B'): Value | undefined =>
    factors[table.findIndex((entry) => entry.layer === layer && entry.target === target && entry.factor === factor)];
  const plain = plainProjection(weight);
  const project: LlamaParts['project'] = (x, layer, target) => {
    const [a, b] = [find(layer, target, 'A'), find(layer, target, 'B')];
    if (a === undefined || b === undefined) return plain(x, layer, target);
    return loraLinear(x, weight(projectionName(layer, target)), a, b, { scale });
  };
  return { factors, project };
}
