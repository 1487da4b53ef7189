/**
 * A checkpoint's frozen weights as graph values, its projections packed where they are quantised.
 */

import { quantizedLinear } from '../engine/composites/quantizedLinear.ts';
import { weight as frozen, type Value } from '../engine/graph.ts';
import type { Checkpoint } from './checkpoint.ts';
import { plainProjection, type LlamaParts } from './llama.ts';
import { projectionName, type TargetModule } from './projections.ts';
import { packedWeights } from './quantization/packedWeights.ts';

export interface FrozenModel {
  /** A weight by its Hugging Face name, as float32; of a quantised projection the one it was made from. */
  readonly weight: (name: string) => Value;
  readonly project: LlamaParts['project'];
  /** Whether a projection is quantised. */
  isPacked(layer: number, target: TargetModule): boolean;
}

export function frozenModel({ tensors, quantized }: Checkpoint): FrozenModel {
  const weight = (name: string): Value => frozen(tensors.get(name)!);
  const plain = plainProjection(weight);
  const packedOf = (layer: number, target: TargetModule) => quantized?.tensors.get(projectionName(layer, target));
  return {
    weight,
    project(x, layer, target) {
      const packed = packedOf(layer, target);
      return packed === undefined ? plain(x, layer, target) : quantizedLinear(x, packedWeights(packed));
    },
    isPacked: (layer, target) => packedOf(layer, target) !== undefined,
  };
}
