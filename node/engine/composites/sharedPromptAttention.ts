/**
 * Causal attention over rows that hold one prompt and two completions of it: the prompt's keys and values are computed
 * once and seen by both completions, which do not see each other ("prefix sharing", arXiv 2410.20305). Exact: each
 * completion gets what it would get in a row of its own.
 *
 * A row is `[prompt | first | second]`. The prompt attends to itself as usual; the completions' queries go through one
 * product with the prompt's keys, both completions at once, and one with their own.
 */

import { apply, type Application, type Composite, type Value } from '../graph.ts';
import { activation } from '../operators/activation.ts';
import { add, multiply, subtract } from '../operators/elementwise.ts';
import { concat, reshape, sliceAxis, transpose } from '../operators/layout.ts';
import { matmul } from '../operators/matmul.ts';
import { softmax } from '../operators/softmax.ts';
import { sum } from '../operators/broadcasting.ts';
import { attention, foldHeads, unfoldHeads } from './attention.ts';

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
  // The rule of `attention`, with scores and probabilities in two parts: towards the prompt and towards the own tokens.
  derivative({ inputs, attributes }, gradient) {
    const { heads, kvHeads, prompt, completion } = attributes;
    const { queries, keys, values, probabilities, output, scale } = branches(inputs, attributes);
    const forOutput = fold(sliceAxis(gradient, 1, prompt, BRANCHES * completion), heads, attributes);
    const along = sum(multiply(forOutput, output), [-1], true);
    const forProbabilities = concat(
      [towardsPrompt(forOutput, values.prompt, true), matmul(forOutput, values.own, { transposeB: true })],
      -1,
    );
    const forScores = split(multiply(probabilities, subtract(forProbabilities, along)), prompt);
    const seen = split(probabilities, prompt);
    const forQueries = add(
      towardsPrompt(forScores.prompt, keys.prompt, false, scale),
      matmul(forScores.own, keys.own, { alpha: scale }),
    );
    const forKeys = {
      prompt: matmul(bothBranches(forScores.prompt), bothBranches(queries), { transposeA: true, alpha: scale }),
      own: matmul(forScores.own, queries, { transposeA: true, alpha: scale }),
    };
    const forValues = {
      prompt: matmul(bothBranches(seen.prompt), bothBranches(forOutput), { transposeA: true }),
      own: matmul(seen.own, forOutput, { transposeA: true }),
    };

    const within = promptAttention(inputs, attributes);
    const [promptQ, promptK, promptV] = within.operator.derivative!(within, sliceAxis(gradient, 1, 0, prompt));
    const whole = (promptPart: Value, fromBranches: { prompt: Value; own: Value }): Value =>
      concat([add(promptPart, unfoldHeads(fromBranches.prompt, kvHeads)), unfold(fromBranches.own, kvHeads)], 1);
    return [
      concat([promptQ!, unfold(forQueries, heads)], 1),
      whole(promptK!, forKeys),
      whole(promptV!, forValues),
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

/** The completions' side of the forward pass; all folded to `[rows, kvHeads, branches, group · time, …]`. */
function branches([q, k, v, padding, , mask]: readonly Value[], attributes: SharedPromptAttributes) {
  const { heads, kvHeads, prompt, completion } = attributes;
  const completions = (x: Value): Value => sliceAxis(x, 1, prompt, BRANCHES * completion);
  const sides = (x: Value) => ({
    prompt: foldHeads(sliceAxis(x, 1, 0, prompt), kvHeads, kvHeads),
    own: fold(completions(x), kvHeads, attributes),
  });
  const queries = fold(completions(q!), heads, attributes);
  const [keys, values] = [sides(k!), sides(v!)];
  const scale = 1 / Math.sqrt(queries.shape.at(-1)!);

  const promptScores = towardsPrompt(queries, keys.prompt, true, scale);
  const ownScores = matmul(queries, keys.own, { transposeB: true, alpha: scale });
  const rows = q!.shape[0]!;
  const grouped = reshape(ownScores, [rows, kvHeads, BRANCHES, heads / kvHeads, completion, completion]);
  const masked = [
    add(promptScores, reshape(padding!, [rows, 1, 1, 1, prompt])),
    reshape(add(grouped, mask!), ownScores.shape),
  ];
  const probabilities = activation(softmax(concat(masked, -1)));
  const seen = split(probabilities, prompt);
  const output = add(towardsPrompt(seen.prompt, values.prompt, false), matmul(seen.own, values.own));
  return { queries, keys, values, probabilities, output, scale };
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

/** Both branches as rows of one matrix: `[rows, kvHeads, branches · group · completion, width]`. */
function bothBranches(x: Value): Value {
  const [rows, kvHeads, count, time, width] = x.shape as [number, number, number, number, number];
  return reshape(x, [rows, kvHeads, count * time, width]);
}

/** Both branches times a matrix of the prompt `[rows, kvHeads, prompt, width]`. */
function towardsPrompt(x: Value, matrix: Value, transposeB: boolean, alpha = 1): Value {
  const product = matmul(bothBranches(x), matrix, { transposeB, alpha });
  return reshape(product, [...x.shape.slice(0, -1), product.shape.at(-1)!]);
}

/** Scores or probabilities apart: towards the prompt, and towards the completion's own tokens. */
function split(x: Value, prompt: number): { prompt: Value; own: Value } {
  return { prompt: sliceAxis(x, -1, 0, prompt), own: sliceAxis(x, -1, prompt, x.shape.at(-1)! - prompt) };
}
