/**
 * Causal attention over rows that hold one prompt and two completions of it: the prompt's keys and values are computed
 * once and seen by both completions, which do not see each other ("prefix sharing", arXiv 2410.20305). Exact: each
 * completion gets what it would get in a row of its own.
 *
 * A row is `[prompt | first | second]`. The prompt attends to itself as usual; each completion's queries go through one
 * product with the prompt's keys and its own.
 */

import { apply, type Application, type Composite, type Value } from '../graph.ts';
import { activation } from '../operators/activation.ts';
import { add, multiply, subtract } from '../operators/elementwise.ts';
import { concat, reshape, sliceAxis, transpose } from '../operators/layout.ts';
import { matmul } from '../operators/matmul.ts';
import { softmax } from '../operators/softmax.ts';
import { expand, sum } from '../operators/broadcasting.ts';
import { alongOutput, attention, attentionSlopes, foldHeads, unfoldHeads } from './attention.ts';

export interface SharedPromptAttributes {
  readonly heads: number;
  readonly kvHeads: number;
  /** Time steps of the prompt's part and of each completion's part of a row. */
  readonly prompt: number;
  readonly completion: number;
}

export interface SharedPromptMasks {
  /** `[rows, prompt]`: 0 at the prompt's tokens, `MASKED` at its padding. */
  readonly padding: Value;
  /** `causalMask(prompt)` and `causalMask(completion)`. */
  readonly prompt: Value;
  readonly completion: Value;
}

/** How many completions share a prompt. */
const BRANCHES = 2;

const SHARED_PROMPT_ATTENTION: Composite<SharedPromptAttributes> = {
  kind: 'composite',
  name: 'sharedPromptAttention',
  infer: ([q]) => ({ shape: q!.shape, type: 'float32' }),
  expand(inputs, attributes) {
    const { output } = branches(inputs, attributes);
    return concat([promptAttention(inputs, attributes), unfold(output, attributes.heads)], 1);
  },
  // The rule of `attention`; what flows to the prompt's keys and values is summed over both completions.
  derivative(node, gradient) {
    const { inputs, attributes } = node;
    const { heads, kvHeads, prompt, completion } = attributes;
    const { queries, keys, values, probabilities, scale } = branches(inputs, attributes);
    const completions = (x: Value): Value => fold(sliceAxis(x, 1, prompt, BRANCHES * completion), heads, attributes);
    const forOutput = completions(gradient);
    const sums = alongOutput(gradient, node, heads);
    const along = completions(sums);
    const forProbabilities = matmul(forOutput, values, { transposeB: true });
    const forScores = multiply(probabilities, subtract(forProbabilities, along));
    const forQueries = matmul(forScores, keys, { alpha: scale });
    const forKeys = matmul(forScores, queries, { transposeA: true, alpha: scale });
    const forValues = matmul(probabilities, forOutput, { transposeA: true });

    const part = (x: Value): Value => sliceAxis(x, 1, 0, prompt);
    const within = promptAttention(inputs, attributes).inputs;
    const [promptQ, promptK, promptV] = attentionSlopes(within, attributes, part(gradient), part(sums));
    const whole = (promptPart: Value, seen: Value): Value => {
      const ofPrompt = sum(sliceAxis(seen, 3, 0, prompt), [2]);
      const own = sliceAxis(seen, 3, prompt, completion);
      return concat([add(promptPart, unfoldHeads(ofPrompt, kvHeads)), unfold(own, kvHeads)], 1);
    };
    return [
      concat([promptQ, unfold(forQueries, heads)], 1),
      whole(promptK, forKeys),
      whole(promptV, forValues),
      null,
      null,
      null,
    ];
  },
};

/**
 * `q` `[rows, time, heads · headDim]`, `k` and `v` `[rows, time, kvHeads · headDim]`, with
 * `time = prompt + 2 · completion`; gives the shape of `q`.
 */
export function sharedPromptAttention(
  q: Value,
  k: Value,
  v: Value,
  masks: SharedPromptMasks,
  attributes: SharedPromptAttributes,
): Value {
  const { heads, kvHeads, prompt, completion } = attributes;
  const inputs = [q, k, v, masks.padding, masks.prompt, masks.completion];
  return apply(SHARED_PROMPT_ATTENTION, inputs, { heads, kvHeads, prompt, completion });
}

function promptAttention([q, k, v, , mask]: readonly Value[], attributes: SharedPromptAttributes): Application {
  const { heads, kvHeads, prompt } = attributes;
  const part = (x: Value): Value => sliceAxis(x, 1, 0, prompt);
  return attention(part(q!), part(k!), part(v!), mask!, { heads, kvHeads });
}

/** The completions' side of the forward pass; all folded to `[rows, kvHeads, branches, …, …]`. */
function branches([q, k, v, padding, , mask]: readonly Value[], attributes: SharedPromptAttributes) {
  const { heads, kvHeads, prompt, completion } = attributes;
  const rows = q!.shape[0]!;
  const completions = (x: Value): Value => sliceAxis(x, 1, prompt, BRANCHES * completion);
  const queries = fold(completions(q!), heads, attributes);
  const width = queries.shape.at(-1)!;
  // The prompt's keys are laid beside each completion's own: they are narrow, and scores then come in one piece.
  const seen = (x: Value): Value => {
    const ofPrompt = foldHeads(sliceAxis(x, 1, 0, prompt), kvHeads, kvHeads);
    const both = expand(reshape(ofPrompt, [rows, kvHeads, 1, prompt, width]), [rows, kvHeads, BRANCHES, prompt, width]);
    return concat([both, fold(completions(x), kvHeads, attributes)], 3);
  };
  const [keys, values] = [seen(k!), seen(v!)];
  const scale = 1 / Math.sqrt(width);

  const scores = matmul(queries, keys, { transposeB: true, alpha: scale });
  const times = prompt + completion;
  const grouped = reshape(scores, [rows, kvHeads, BRANCHES, heads / kvHeads, completion, times]);
  const hidden = [
    expand(reshape(padding!, [rows, 1, prompt]), [rows, completion, prompt]),
    expand(reshape(mask!, [1, completion, completion]), [rows, completion, completion]),
  ];
  const masked = add(grouped, reshape(concat(hidden, -1), [rows, 1, 1, 1, completion, times]));
  const probabilities = activation(reshape(softmax(masked), scores.shape));
  return { queries, keys, values, probabilities, output: matmul(probabilities, values), scale };
}

/** `[rows, branches · completion, heads · width]` to `[rows, kvHeads, branches, group · completion, width]`. */
function fold(x: Value, heads: number, { kvHeads, completion }: SharedPromptAttributes): Value {
  const [rows, , total] = x.shape as [number, number, number];
  const [group, width] = [heads / kvHeads, total / heads];
  const parted = reshape(x, [rows, BRANCHES, completion, kvHeads, group, width]);
  return reshape(transpose(parted, [0, 3, 1, 4, 2, 5]), [rows, kvHeads, BRANCHES, group * completion, width]);
}

/** The inverse of `fold`. */
function unfold(x: Value, heads: number): Value {
  const [rows, kvHeads, , groupTime, width] = x.shape as [number, number, number, number, number];
  const group = heads / kvHeads;
  const completion = groupTime / group;
  const parted = reshape(x, [rows, kvHeads, BRANCHES, group, completion, width]);
  return reshape(transpose(parted, [0, 2, 4, 1, 3, 5]), [rows, BRANCHES * completion, heads * width]);
}
