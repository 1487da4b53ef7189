/**
 * The forward pass of the Llama family as graph values, up to the last hidden states.
 *
 * One path for all of `families.ts`; what sets them apart are fields of the configuration: biases, norms of queries and
 * keys, layers without rotary embedding, its scaling. What differs between training an adapter, training all weights
 * and generating is how a weight is found, how a projection is computed and what its queries attend to: those come in
 * as functions.
 */

import { rmsNorm } from '../engine/composites/rmsNorm.ts';
import { rotary, rotaryTables } from '../engine/composites/rotary.ts';
import { swiglu } from '../engine/composites/swiglu.ts';
import type { Value } from '../engine/graph.ts';
import { activation } from '../engine/operators/activation.ts';
import { add } from '../engine/operators/elementwise.ts';
import { gatherRows } from '../engine/operators/indexing.ts';
import { reshape } from '../engine/operators/layout.ts';
import { matmul } from '../engine/operators/matmul.ts';
import type { ModelConfig } from './config.ts';
import { projectionName, projectionPath, type TargetModule } from './projections.ts';
import { scaledFrequencies } from './rotaryScaling.ts';

export interface LlamaParts {
  readonly config: ModelConfig;
  /** A weight by its Hugging Face name. */
  readonly weight: (name: string) => Value;
  /** `x` `[n, in]` through a projection, without its bias: `[n, out]`. */
  readonly project: (x: Value, layer: number, target: TargetModule) => Value;
  /** What the queries see: `q` `[batch, time, heads · headDim]`, `k` and `v` `[batch, time, kvHeads · headDim]`. */
  readonly attend: (q: Value, k: Value, v: Value, layer: number) => Value;
}

/** Token ids and their positions, both int32 `[batch, time]`. */
export interface LlamaRows {
  readonly tokens: Value;
  readonly positions: Value;
  /** Every position is below this bound. */
  readonly positionBound: number;
  /** The tokens whose last states are wanted, int32 `[wanted]`, by their index in the flat batch; all if absent. */
  readonly wanted?: Value | undefined;
}

export interface LlamaStates {
  /** After the final norm, `[batch · time, hidden]`, or `[wanted, hidden]`. */
  readonly hidden: Value;
  /** Before each layer, the same shape. */
  readonly layerInputs: readonly Value[];
}

/** Hidden states of a batch. */
export function llamaHidden({ config, weight, project, attend }: LlamaParts, rows: LlamaRows): LlamaStates {
  const [batch, time] = rows.tokens.shape as [number, number];
  const { heads, kvHeads, headDim, rmsNormEps } = config;
  const frequencies = scaledFrequencies(headDim, config.ropeTheta, config.ropeScaling);
  const tables = rotaryTables(Math.max(rows.positionBound, time), frequencies);

  let x = activation(reshape(gatherRows(weight(EMBEDDING), rows.tokens), [batch * time, config.hiddenSize]));
  const layerInputs: Value[] = [];
  for (let layer = 0; layer < config.layers; layer++) {
    layerInputs.push(x);
    const path = `model.layers.${layer}`;
    const linear = (input: Value, target: TargetModule): Value => {
      const product = project(input, layer, target);
      return config.biases.includes(target) ? add(product, weight(`${path}.${projectionPath(target)}.bias`)) : product;
    };
    const normedHeads = (flat: Value, name: 'q_norm' | 'k_norm', count: number): Value => {
      if (!config.queryKeyNorm) return flat;
      const apart = reshape(flat, [batch * time * count, headDim]);
      return rmsNorm(apart, weight(`${path}.self_attn.${name}.weight`), rmsNormEps);
    };
    const turned = (flat: Value, count: number): Value => {
      const shaped = reshape(flat, [batch, time, count * headDim]);
      return config.noRopeLayers.includes(layer) ? shaped : rotary(shaped, rows.positions, tables, count);
    };
    const normed = activation(rmsNorm(x, weight(`${path}.input_layernorm.weight`), rmsNormEps));
    const q = turned(normedHeads(linear(normed, 'q_proj'), 'q_norm', heads), heads);
    const k = turned(normedHeads(linear(normed, 'k_proj'), 'k_norm', kvHeads), kvHeads);
    const v = reshape(linear(normed, 'v_proj'), [batch, time, kvHeads * headDim]);
    let attended = reshape(attend(q, k, v, layer), [batch * time, heads * headDim]);
    // Nobody attends to what the last layer makes of a token: the rest of it is for the wanted ones alone.
    if (rows.wanted !== undefined && layer === config.layers - 1) {
      [x, attended] = [gatherRows(x, rows.wanted), gatherRows(attended, rows.wanted)];
    }
    x = activation(add(x, linear(attended, 'o_proj')));

    const between = activation(rmsNorm(x, weight(`${path}.post_attention_layernorm.weight`), rmsNormEps));
    const gated = swiglu(activation(linear(between, 'gate_proj')), activation(linear(between, 'up_proj')));
    x = activation(add(x, linear(gated, 'down_proj')));
  }
  return { hidden: rmsNorm(x, weight('model.norm.weight'), rmsNormEps), layerInputs };
}

const EMBEDDING = 'model.embed_tokens.weight';

/** The Hugging Face name of the output head: the embedding where the two are tied. */
export function headName(config: ModelConfig): string {
  return config.tiedHead ? EMBEDDING : 'lm_head.weight';
}

/** A projection as the plain product with its weight. */
export function plainProjection(weight: (name: string) => Value): LlamaParts['project'] {
  return (x, layer, target) => matmul(x, weight(projectionName(layer, target)), { transposeB: true });
}
