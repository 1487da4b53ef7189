/**
 * The two graphs of generation: one reads the prompts and fills the key-value cache, one adds a token to every row.
 */

import { attention, foldHeads, unfoldHeads } from '../engine/composites/attention.ts';
import { cachedAttention } from '../engine/composites/cachedAttention.ts';
import { constant, input, type Value } from '../engine/graph.ts';
import { matmul } from '../engine/operators/matmul.ts';
import { adaptedProjection } from '../training/adaptedProjection.ts';
import type { AdapterLayout } from '../training/adapterVector.ts';
import type { Checkpoint } from './checkpoint.ts';
import { exceedsWindow, layerMasks, windowOf } from './layerMasks.ts';
import { frozenModel } from './frozenModel.ts';
import { headName, llamaHidden, type LlamaParts } from './llama.ts';

export interface GenerationModel {
  readonly checkpoint: Checkpoint;
  /** Absent: the bare model. */
  readonly adapter?: { readonly layout: AdapterLayout; readonly scale: number } | undefined;
}

/** The names of a layer's keys and values, as outputs of both graphs and, after `cached`, as inputs of the second. */
export const cacheNames = (layer: number): { keys: string; values: string } => ({
  keys: `keys${layer}`,
  values: `values${layer}`,
});

export const cached = (name: string): string => `cached ${name}`;

/**
 * Inputs: `tokens` `[rows, time]` padded at the end, `last` `[rows]` (row-major index of each prompt's last token), and
 * `adapter` if there is one. Outputs: `logits` `[rows, vocabulary]` of the next token, and each layer's keys and values
 * `[rows, kvHeads, time, headDim]`.
 */
export function promptGraph(model: GenerationModel, rows: number, time: number): Record<string, Value> {
  const { config } = model.checkpoint;
  const maskOf = layerMasks(config, time);
  const outputs: Record<string, Value> = {};
  const attend: LlamaParts['attend'] = (q, k, v, layer) => {
    const names = cacheNames(layer);
    outputs[names.keys] = foldHeads(k, config.kvHeads, config.kvHeads);
    outputs[names.values] = foldHeads(v, config.kvHeads, config.kvHeads);
    return attention(q, k, v, maskOf(layer), config);
  };
  const parts = partsOf(model, attend);
  const positions = Int32Array.from({ length: rows * time }, (_, i) => i % time);
  const { hidden } = llamaHidden(parts, {
    tokens: input('tokens', [rows, time], 'int32'),
    positions: constant(positions, [rows, time]),
    positionBound: time,
    wanted: input('last', [rows], 'int32'),
  });
  outputs['logits'] = logitsOf(parts, hidden);
  return outputs;
}

/**
 * Inputs: `tokens` and `positions` `[rows, 1]`, those of `CacheMasks` `[rows, context]`, each layer's cached keys and
 * values `[rows, kvHeads, context, headDim]`, and `adapter` if there is one. Outputs: as of `promptGraph`, for the one
 * token.
 */
export function tokenGraph(model: GenerationModel, rows: number, context: number): Record<string, Value> {
  const { config } = model.checkpoint;
  const { kvHeads, heads, headDim } = config;
  const whole = input('mask', [rows, context]);
  const windowed = exceedsWindow(config, context) ? input('windowMask', [rows, context]) : whole;
  const outputs: Record<string, Value> = {};
  const attend: LlamaParts['attend'] = (q, k, v, layer) => {
    const names = cacheNames(layer);
    const key = (outputs[names.keys] = foldHeads(k, kvHeads, kvHeads));
    const value = (outputs[names.values] = foldHeads(v, kvHeads, kvHeads));
    const shape = [rows, kvHeads, context, headDim];
    const mask = windowOf(config, layer) === null ? whole : windowed;
    const cache = { keys: input(cached(names.keys), shape), values: input(cached(names.values), shape), mask };
    return unfoldHeads(cachedAttention(foldHeads(q, heads, kvHeads), key, value, cache), heads);
  };
  const parts = partsOf(model, attend);
  const { hidden } = llamaHidden(parts, {
    tokens: input('tokens', [rows, 1], 'int32'),
    positions: input('positions', [rows, 1], 'int32'),
    positionBound: context,
  });
  outputs['logits'] = logitsOf(parts, hidden);
  return outputs;
}

function partsOf({ checkpoint, adapter }: GenerationModel, attend: LlamaParts['attend']): LlamaParts {
  const { config } = checkpoint;
  const frozen = frozenModel(checkpoint);
  const project = adapter === undefined ? frozen.project : adaptedProjection(config, frozen, adapter).project;
  return { config, weight: frozen.weight, project, attend };
}

function logitsOf({ config, weight }: LlamaParts, hidden: Value): Value {
  return matmul(hidden, weight(headName(config)), { transposeB: true });
}
