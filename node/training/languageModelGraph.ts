/**
 * The graph of one language-model training step: all weights as parts of one flat input, mean cross-entropy, and the
 * gradient as one flat output.
 */

import { attention } from '../engine/composites/attention.ts';
import { tokenLogProbs } from '../engine/composites/tokenLogProbs.ts';
import { gradients } from '../engine/derivative.ts';
import { constant, input, sizeOf, type Value } from '../engine/graph.ts';
import { divide, multiply, negate } from '../engine/operators/elementwise.ts';
import { concat, reshape, sliceAxis } from '../engine/operators/layout.ts';
import { sum } from '../engine/operators/broadcasting.ts';
import type { ModelConfig } from '../model/config.ts';
import { layerMasks } from '../model/layerMasks.ts';
import { headName, llamaHidden, plainProjection } from '../model/llama.ts';
import { expectedTensors } from '../model/weights.ts';

/** Rows that go through the head at once. */
const HEAD_CHUNK = 1024;

export interface LanguageModelShape {
  readonly config: ModelConfig;
  readonly batch: number;
  readonly length: number;
}

/**
 * Inputs: `parameters` (the weights of `expectedTensors`, one after the other), `tokens` `[batch, length]`, `targets` and
 * `mask` `[batch · length]`. Outputs: `loss` `[]`, and `gradient` like `parameters` if asked for.
 */
export function languageModelGraph(shape: LanguageModelShape, withGradient: boolean): Record<string, Value> {
  const { config, batch, length } = shape;
  const table = [...expectedTensors(config)];
  const count = table.reduce((total, [, extents]) => total + sizeOf(extents), 0);
  const flat = input('parameters', [count]);
  let offset = 0;
  const weights = new Map<string, Value>();
  for (const [name, extents] of table) {
    weights.set(name, reshape(sliceAxis(flat, 0, offset, sizeOf(extents)), extents));
    offset += sizeOf(extents);
  }
  const weight = (name: string): Value => weights.get(name)!;

  const maskOf = layerMasks(config, length);
  const positions = Int32Array.from({ length: batch * length }, (_, i) => i % length);
  const { hidden } = llamaHidden(
    {
      config,
      weight,
      project: plainProjection(weight),
      attend: (q, k, v, layer) => attention(q, k, v, maskOf(layer), config),
    },
    {
      tokens: input('tokens', [batch, length], 'int32'),
      positions: constant(positions, [batch, length]),
      positionBound: length,
    },
  );
  const targets = input('targets', [batch * length], 'int32');
  const weighing = input('mask', [batch * length]);
  const logProbs = tokenLogProbs(hidden, weight(headName(config)), targets, {
    chunk: HEAD_CHUNK,
    slopes: withGradient,
  });
  const loss = negate(divide(sum(multiply(logProbs, weighing), [0]), sum(weighing, [0])));
  if (!withGradient) return { loss };
  const parts = gradients(loss, [...weights.values()]).map((part) => reshape(part, [sizeOf(part.shape)]));
  return { loss, gradient: concat(parts, 0) };
}
