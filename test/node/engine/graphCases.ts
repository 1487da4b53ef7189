/**
 * One small graph for each operator and composite, with inputs drawn by seed: what derivatives and lowerings are
 * tested on.
 */

import { attention, causalMask } from '../../../node/engine/composites/attention.ts';
import { loraLinear } from '../../../node/engine/composites/loraLinear.ts';
import { rmsNorm } from '../../../node/engine/composites/rmsNorm.ts';
import { rotary, rotaryTables } from '../../../node/engine/composites/rotary.ts';
import { silu, swiglu } from '../../../node/engine/composites/swiglu.ts';
import { tokenLogProbs } from '../../../node/engine/composites/tokenLogProbs.ts';
import { constant, input, type Input, type Value } from '../../../node/engine/graph.ts';
import * as elementwise from '../../../node/engine/operators/elementwise.ts';
import * as indexing from '../../../node/engine/operators/indexing.ts';
import * as layout from '../../../node/engine/operators/layout.ts';
import { matmul } from '../../../node/engine/operators/matmul.ts';
import * as reduction from '../../../node/engine/operators/reduction.ts';

export interface GraphCase {
  readonly name: string;
  /** Float inputs; their gradients are checked. */
  readonly inputs: readonly Input[];
  readonly output: Value;
  /** Draws every number from (0.5, 1.5) in place of (-1, 1): for logarithms and the like. */
  readonly positive?: boolean;
}

function graphCase(
  name: string,
  shapes: readonly (readonly number[])[],
  build: (...inputs: Value[]) => Value,
  positive = false,
): GraphCase {
  const inputs = shapes.map((shape, i) => input(`x${i}`, shape));
  return { name, inputs, output: build(...inputs), positive };
}

const integers = (values: readonly number[], shape: readonly number[] = [values.length]): Value =>
  constant(Int32Array.from(values), shape);

const { add, subtract, multiply, divide, negate, exponential, logarithm, squareRoot, sigmoid, softplus } = elementwise;

export const GRAPH_CASES: readonly GraphCase[] = [
  graphCase(
    'add',
    [
      [2, 3],
      [2, 3],
    ],
    add,
  ),
  graphCase(
    'add, broadcast both ways',
    [
      [2, 1, 3],
      [4, 1],
    ],
    add,
  ),
  graphCase('subtract, broadcast', [[2, 3], [3]], subtract),
  graphCase(
    'multiply, broadcast',
    [
      [2, 3],
      [2, 1],
    ],
    multiply,
  ),
  graphCase('multiply by itself', [[2, 3]], (x) => multiply(x, x)),
  graphCase(
    'divide, broadcast',
    [
      [2, 3],
      [1, 3],
    ],
    divide,
    true,
  ),
  graphCase('negate', [[4]], negate),
  graphCase('exponential', [[2, 3]], exponential),
  graphCase('logarithm', [[2, 3]], logarithm, true),
  graphCase('squareRoot', [[2, 3]], squareRoot, true),
  graphCase('sigmoid', [[2, 3]], sigmoid),
  graphCase('softplus', [[2, 3]], softplus),
  graphCase('sum over inner and outer axes', [[2, 3, 4]], (x) => reduction.sum(x, [0, -1])),
  graphCase('sum, axes kept', [[2, 3, 4]], (x) => reduction.sum(x, [1], true)),
  graphCase('softmax', [[2, 3, 5]], reduction.softmax),
  graphCase('logSoftmax', [[3, 5]], reduction.logSoftmax),
  graphCase(
    'matmul',
    [
      [2, 3],
      [3, 4],
    ],
    (a, b) => matmul(a, b),
  ),
  graphCase(
    'matmul, first transposed',
    [
      [3, 2],
      [3, 4],
    ],
    (a, b) => matmul(a, b, { transposeA: true }),
  ),
  graphCase(
    'matmul, second transposed and scaled',
    [
      [2, 3],
      [4, 3],
    ],
    (a, b) => matmul(a, b, { transposeB: true, alpha: 0.7 }),
  ),
  graphCase(
    'matmul, both transposed',
    [
      [3, 2],
      [4, 3],
    ],
    (a, b) => matmul(a, b, { transposeA: true, transposeB: true }),
  ),
  graphCase(
    'matmul of batches, one broadcast',
    [
      [2, 3, 2, 4],
      [2, 1, 5, 4],
    ],
    (a, b) => matmul(a, b, { transposeB: true, alpha: 0.5 }),
  ),
  graphCase(
    'matmul of batches, first transposed',
    [
      [3, 4, 2],
      [3, 4, 5],
    ],
    (a, b) => matmul(a, b, { transposeA: true }),
  ),
  graphCase('reshape', [[2, 6]], (x) => layout.reshape(x, [3, 4])),
  graphCase('transpose', [[2, 3, 4]], (x) => layout.transpose(x, [2, 0, 1])),
  graphCase('slice', [[3, 5, 2]], (x) => layout.slice(x, [1, 2, 0], [2, 2, 2])),
  graphCase('pad', [[2, 3]], (x) => layout.pad(x, [1, 0], [4, 5])),
  graphCase(
    'concat',
    [
      [2, 3],
      [2, 1],
      [2, 2],
    ],
    (...parts) => layout.concat(parts, -1),
  ),
  graphCase('expand', [[3, 1]], (x) => layout.expand(x, [2, 3, 4])),
  graphCase('gatherRows', [[5, 3]], (x) => indexing.gatherRows(x, integers([4, 0, 4, 1], [2, 2]))),
  graphCase('scatterRows', [[2, 2, 3]], (x) => indexing.scatterRows(x, integers([3, 0, 3, 1], [2, 2]), 5)),
  graphCase('pick', [[3, 4]], (x) => indexing.pick(x, integers([2, 0, 3]))),
  graphCase('place', [[3]], (x) => indexing.place(x, integers([2, 0, 3]), 4)),
  graphCase('rmsNorm', [[3, 4], [4]], (x, w) => rmsNorm(x, w, 1e-5)),
  graphCase('rotary', [[2, 3, 8]], (x) => rotary(x, integers([0, 1, 2, 0, 2, 1], [2, 3]), rotaryTables(3, 4, 100), 2)),
  graphCase('silu', [[2, 3]], silu),
  graphCase(
    'swiglu',
    [
      [2, 3],
      [2, 3],
    ],
    swiglu,
  ),
  graphCase(
    'attention, one key head for two query heads',
    [
      [2, 3, 8],
      [2, 3, 4],
      [2, 3, 4],
    ],
    (q, k, v) => attention(q, k, v, causalMask(3), { heads: 4, kvHeads: 2 }),
  ),
  graphCase(
    'loraLinear',
    [
      [3, 4],
      [5, 4],
      [2, 4],
      [5, 2],
    ],
    (x, w, a, b) => loraLinear(x, w, a, b, { scale: 2, merged: false }),
  ),
  graphCase(
    'loraLinear, merged',
    [
      [3, 4],
      [5, 4],
      [2, 4],
      [5, 2],
    ],
    (x, w, a, b) => loraLinear(x, w, a, b, { scale: 2, merged: true }),
  ),
  graphCase(
    'tokenLogProbs in chunks',
    [
      [5, 3],
      [7, 3],
    ],
    (h, w) => tokenLogProbs(h, w, integers([6, 0, 3, 3, 1]), { chunk: 2 }),
  ),
];

/** Numbers in [0, 1) by seed (mulberry32). */
export function seededNumbers(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
