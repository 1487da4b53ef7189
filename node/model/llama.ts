/**
 * The forward pass of the Llama family as graph values, up to the last hidden states.
 *
 * Covers Llama and Qwen2 (biases on q, k and v). What differs between training an adapter, training all weights and
 * generating is how a weight is found, how a projection is computed and what its queries attend to: those come in as
 * functions.
 */

import { rmsNorm } from '../engine/composites/rmsNorm.ts';
import { rotary, rotaryTables } from '../engine/composites/rotary.ts';
import { swiglu } from '../engine/composites/swiglu.ts';
import type { Value } from '../engine/graph.ts';
import { add } from '../engine/operators/elementwise.ts';
import { gatherRows } from '../engine/operators/indexing.ts';
import { reshape } from '../engine/operators/layout.ts';
import { matmul } from '../engine/operators/matmul.ts';
import type { ModelConfig } from './config.ts';
import { projectionName, projectionPath, type TargetModule } from './projections.ts';

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
}

export interface LlamaStates {
  /** After the final norm, `[batch · time, hidden]`. */
  readonly hidden: Value;
  /** Before each layer, the same shape. */
  readonly layerInputs: readonly Value[];
}

/** Hidden states of a batch. */
export function llamaHidden({ config, weight, project, attend }: LlamaParts, rows: LlamaRows): LlamaStates {
  const [batch, time] = rows.tokens.shape as [number, number];
  const { heads, kvHeads, headDim, rmsNormEps } = config;
  const tables = rotaryTables(Math.max(rows.positionBound, time), headDim, config.ropeTheta);

  let x = reshape(gatherRows(weight(EMBEDDING), rows.tokens), [batch * time, config.hiddenSize]);
  const layerInputs: Value[] = [];
  for (let layer = 0; layer < config.layers; layer++) {
    layerInputs.push(x);
    const path = `model.layers.${layer}`;
    const biased = (input: Value, target: TargetModule, width: number): Value => {
      const flat = project(input, layer, target);
      const bias = config.qkvBias ? add(flat, weight(`${path}.${projectionPath(target)}.bias`)) : flat;
      return reshape(bias, [batch, time, width]);
    };
    const normed = rmsNorm(x, weight(`${path}.input_layernorm.weight`), rmsNormEps);
    const q = rotary(biased(normed, 'q_proj', heads * headDim), rows.positions, tables, heads);
    const k = rotary(biased(normed, 'k_proj', kvHeads * headDim), rows.positions, tables, kvHeads);
    const v = biased(normed, 'v_proj', kvHeads * headDim);
    const attended = reshape(attend(q, k, v, layer), [batch * time, heads * headDim]);
    x = add(x, project(attended, layer, 'o_proj'));

    const between = rmsNorm(x, weight(`${path}.post_attention_layernorm.weight`), rmsNormEps);
    const gated = swiglu(project(between, layer, 'gate_proj'), project(between, layer, 'up_proj'));
    x = add(x, project(gated, layer, 'down_proj'));
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
