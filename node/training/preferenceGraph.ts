/**
 * The graph of preference training: a frozen model with a LoRA adapter over pairs, the log-probability of every
 * completion token, and, for training, the gradient of the loss by the flat adapter vector.
 */

import { checkpointedGradients } from '../engine/activationCheckpoints.ts';
import { attention, causalMask } from '../engine/composites/attention.ts';
import { relocatedRows } from '../engine/composites/relocatedRows.ts';
import { sharedPromptAttention } from '../engine/composites/sharedPromptAttention.ts';
import { tokenLogProbs } from '../engine/composites/tokenLogProbs.ts';
import { gradients } from '../engine/derivative.ts';
import { input, sizeOf, type Value } from '../engine/graph.ts';
import { concat, reshape, sliceAxis } from '../engine/operators/layout.ts';
import { matmul } from '../engine/operators/matmul.ts';
import type { Checkpoint } from '../model/checkpoint.ts';
import { layerMasks } from '../model/layerMasks.ts';
import { frozenModel } from '../model/frozenModel.ts';
import { headName, llamaHidden, type LlamaParts } from '../model/llama.ts';
import { adaptedProjection } from './adaptedProjection.ts';
import type { AdapterLayout } from './adapterVector.ts';
import type { LossName } from './preferenceLoss.ts';
import { preferenceObjective } from './preferenceObjective.ts';
import { isPacked, rowExtents, type PreferenceShape } from './preferenceRows.ts';

export interface PreferenceModel {
  readonly checkpoint: Checkpoint;
  readonly layout: AdapterLayout;
  /** LoRA scale, `alpha / rank`. */
  readonly scale: number;
  /** Scored positions that go through the head at once. */
  readonly headChunk: number;
  /** Whether a layer's activations are computed again in the backward pass instead of kept. */
  readonly activationCheckpointing: boolean;
}

/**
 * Inputs: those of `PreferenceRows`, and `adapter`. Output: `logProbs` `[scored]` in nats; those of
 * padding mean nothing.
 */
export function scoringGraph(model: PreferenceModel, shape: PreferenceShape): Record<string, Value> {
  const { logProbs } = forward(model, shape, false);
  return { logProbs };
}

/**
 * As `scoringGraph`, with the further inputs of `preferenceObjective`, and the further output `gradient`: of that
 * objective by the adapter.
 */
export function trainingGraph(model: PreferenceModel, shape: PreferenceShape, loss: LossName): Record<string, Value> {
  const { logProbs, factors, layerInputs } = forward(model, shape, true);
  const { pairs, scored } = shape;
  const membership = input('membership', [2 * pairs, scored]);
  const sums = reshape(matmul(membership, reshape(logProbs, [scored, 1]), { exact: true }), [2 * pairs]);
  const objective = preferenceObjective(loss, {
    chosen: sliceAxis(sums, 0, 0, pairs),
    rejected: sliceAxis(sums, 0, pairs, pairs),
  });
  const slopes = model.activationCheckpointing
    ? checkpointedGradients(objective, factors, layerInputs)
    : gradients(objective, factors);
  const parts = slopes.map((part) => reshape(part, [sizeOf(part.shape)]));
  return { logProbs, gradient: concat(parts, 0) };
}

function forward(model: PreferenceModel, shape: PreferenceShape, slopes: boolean) {
  const { config } = model.checkpoint;
  const frozen = frozenModel(model.checkpoint);
  const { weight } = frozen;
  const { factors, project } = adaptedProjection(config, frozen, model);
  const { hidden, layerInputs } = llamaHidden(
    { config, weight, project, attend: inRows(shape, attentionOf(model, shape)) },
    {
      tokens: input('tokens', [1, shape.tokens], 'int32'),
      positions: input('positions', [1, shape.tokens], 'int32'),
      positionBound: shape.prompt + shape.completion,
      wanted: input('scored', [shape.scored], 'int32'),
    },
  );
  const targets = input('targets', [shape.scored], 'int32');
  const head = weight(headName(config));
  const logProbs = tokenLogProbs(hidden, head, targets, { chunk: model.headChunk, slopes });
  return { logProbs, factors, layerInputs };
}

/** Lays tokens out in rows for attention, and takes what it gives out of them again. */
function inRows(shape: PreferenceShape, attend: LlamaParts['attend']): LlamaParts['attend'] {
  const [rows, time] = rowExtents(shape);
  const slots = input('slots', [rows * time], 'int32');
  const places = input('places', [shape.tokens], 'int32');
  const moved = (x: Value, from: Value, back: Value): Value => (isPacked(shape) ? relocatedRows(x, from, back) : x);
  const into = (x: Value): Value => {
    const width = x.shape.at(-1)!;
    return reshape(moved(reshape(x, [shape.tokens, width]), slots, places), [rows, time, width]);
  };
  return (q, k, v, layer) => {
    const attended = attend(into(q), into(k), into(v), layer);
    return reshape(moved(reshape(attended, [rows * time, q.shape.at(-1)!]), places, slots), q.shape);
  };
}

function attentionOf({ checkpoint: { config } }: PreferenceModel, shape: PreferenceShape): LlamaParts['attend'] {
  const { layout, pairs, prompt, completion } = shape;
  if (layout === 'apart') {
    const maskOf = layerMasks(config, prompt + completion);
    return (q, k, v, layer) => attention(q, k, v, maskOf(layer), config);
  }
  const masks = {
    padding: input('padding', [pairs, prompt]),
    prompt: causalMask(prompt),
    completion: causalMask(completion),
  };
  const { heads, kvHeads } = config;
  return (q, k, v) => sharedPromptAttention(q, k, v, masks, { heads, kvHeads, prompt, completion });
}
