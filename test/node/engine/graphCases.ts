/**
 * One small graph for each operator and composite, of any extents: what derivatives and lowerings are tested on.
 */

import { attention, causalMask, MASKED } from '../../../node/engine/composites/attention.ts';
import { cachedAttention } from '../../../node/engine/composites/cachedAttention.ts';
import { loraLinear } from '../../../node/engine/composites/loraLinear.ts';
import { quantizedLinear, type PackedWeights, type Packing } from '../../../node/engine/composites/quantizedLinear.ts';
import { relocatedRows } from '../../../node/engine/composites/relocatedRows.ts';
import { rmsNorm } from '../../../node/engine/composites/rmsNorm.ts';
import { rotary, rotaryFrequencies, rotaryTables } from '../../../node/engine/composites/rotary.ts';
import { sharedPromptAttention } from '../../../node/engine/composites/sharedPromptAttention.ts';
import { silu, swiglu } from '../../../node/engine/composites/swiglu.ts';
import { tokenLogProbs } from '../../../node/engine/composites/tokenLogProbs.ts';
import { constant, input, sizeOf, type Input, type Shape, type Value } from '../../../node/engine/graph.ts';
import * as elementwise from '../../../node/engine/operators/elementwise.ts';
import * as indexing from '../../../node/engine/operators/indexing.ts';
import * as layout from '../../../node/engine/operators/layout.ts';
import { matmul } from '../../../node/engine/operators/matmul.ts';
import { expand, sum } from '../../../node/engine/operators/broadcasting.ts';
import { logSoftmax, softmax } from '../../../node/engine/operators/softmax.ts';
import { RandomStream } from '../../../node/training/randomStream.ts';

export interface GraphCase {
  readonly name: string;
  /** Float inputs; their gradients are checked. */
  readonly inputs: readonly Input[];
  readonly output: Value;
  /** Draws every number from (0.5, 1.5) in place of (-1, 1): for logarithms and the like. */
  readonly positive: boolean;
}

/** Three extents of at least 1 that every case builds its shapes from. */
export interface Extents {
  readonly a: number;
  readonly b: number;
  readonly c: number;
}

export function graphCases({ a, b, c }: Extents): GraphCase[] {
  const of = (...shape: number[]): Shape => shape;
  const graph = (name: string, shapes: Shape[], build: (...inputs: Value[]) => Value, positive = false): GraphCase => {
    const inputs = shapes.map((shape, i) => input(`x${i}`, shape));
    return { name, inputs, output: build(...inputs), positive };
  };
  const { add, subtract, multiply, divide, negate, exponential, logarithm, squareRoot, sigmoid, softplus, relu } =
    elementwise;
  const { gatherRows, scatterRows, pick, place } = indexing;
  const heads = { heads: 2 * a, kvHeads: a };
  const [whole, part] = [of(b, c, 4 * a), of(b, c, 2 * a)];
  const branched = (width: number): Shape => of(a, c + 2 * b, width);
  const padding = constant(
    Float32Array.from({ length: a * c }, (_, i) => (i % c === 0 ? 0 : i % 2 === 0 ? 0 : MASKED)),
    [a, c],
  );

  return [
    graph('add', [of(a, b), of(a, b)], add),
    graph('add, broadcast both ways', [of(a, 1, b), of(c, 1)], add),
    graph('subtract, broadcast', [of(a, b), of(b)], subtract),
    graph('multiply, broadcast', [of(a, b), of(a, 1)], multiply),
    graph('multiply by itself', [of(a, b)], (x) => multiply(x, x)),
    graph('divide, broadcast', [of(a, b), of(1, b)], divide, true),
    graph('negate', [of(c)], negate),
    graph('exponential', [of(a, b)], exponential),
    graph('logarithm', [of(a, b)], logarithm, true),
    graph('squareRoot', [of(a, b)], squareRoot, true),
    graph('sigmoid', [of(a, b)], sigmoid),
    graph('softplus', [of(a, b)], softplus),
    graph('relu', [of(a, b)], relu),
    graph('sum over inner and outer axes', [of(a, b, c)], (x) => sum(x, [0, -1])),
    graph('sum, axes kept', [of(a, b, c)], (x) => sum(x, [1], true)),
    graph('softmax', [of(a, b, c)], softmax),
    graph('logSoftmax', [of(a, c)], logSoftmax),
    graph('matmul', [of(a, b), of(b, c)], (x, y) => matmul(x, y)),
    graph('matmul, first transposed', [of(b, a), of(b, c)], (x, y) => matmul(x, y, { transposeA: true })),
    graph('matmul, second transposed and scaled', [of(a, b), of(c, b)], (x, y) =>
      matmul(x, y, { transposeB: true, alpha: 0.7 }),
    ),
    graph('matmul, both transposed', [of(b, a), of(c, b)], (x, y) =>
      matmul(x, y, { transposeA: true, transposeB: true }),
    ),
    graph('matmul of batches, one broadcast', [of(2, a, b, c), of(2, 1, a, c)], (x, y) =>
      matmul(x, y, { transposeB: true, alpha: 0.5 }),
    ),
    graph('matmul of batches, first transposed', [of(a, c, b), of(a, c, 2)], (x, y) =>
      matmul(x, y, { transposeA: true }),
    ),
    graph('reshape', [of(a, 2 * b)], (x) => layout.reshape(x, [2, a, b])),
    graph('transpose', [of(a, b, c)], (x) => layout.transpose(x, [2, 0, 1])),
    graph('slice', [of(a + 1, b + 2, c)], (x) => layout.slice(x, [1, 1, 0], [a, b, c])),
    graph('pad', [of(a, b)], (x) => layout.pad(x, [1, 0], [a + 2, b + 1])),
    graph('concat', [of(a, b), of(a, 1), of(a, c)], (...parts) => layout.concat(parts, -1)),
    graph('expand', [of(b, 1)], (x) => expand(x, [a, b, c])),
    graph('gatherRows', [of(b, c)], (x) => gatherRows(x, indices([a, 2], b))),
    graph('scatterRows', [of(a, 2, c)], (x) => scatterRows(x, indices([a, 2], b), b)),
    graph('relocatedRows', [of(3, b)], (x) => relocatedRows(x, order(2, 0, 1), order(1, 2, 0))),
    graph('pick', [of(a, b)], (x) => pick(x, indices([a], b))),
    graph('place', [of(a)], (x) => place(x, indices([a], b), b)),
    graph('rmsNorm', [of(a, b), of(b)], (x, w) => rmsNorm(x, w, 1e-5)),
    graph('rotary', [of(a, b, 4 * c)], (x) =>
      rotary(x, indices([a, b], b), rotaryTables(b, rotaryFrequencies(4, 100)), c),
    ),
    graph('silu', [of(a, b)], silu),
    graph('swiglu', [of(a, b), of(a, b)], swiglu),
    graph('attention', [whole, part, part], (q, k, v) => attention(q, k, v, causalMask(c), heads)),
    graph('sharedPromptAttention', [branched(8), branched(4), branched(4)], (q, k, v) => {
      const masks = { padding, prompt: causalMask(c), completion: causalMask(b) };
      return sharedPromptAttention(q, k, v, masks, { heads: 4, kvHeads: 2, prompt: c, completion: b });
    }),
    graph(
      'cachedAttention',
      [of(a, 2, b, 4), of(a, 2, 1, 4), of(a, 2, 1, 4), of(a, 2, c, 4), of(a, 2, c, 4)],
      (...x) => {
        const [queries, key, value, keys, values] = x as [Value, Value, Value, Value, Value];
        return cachedAttention(queries, key, value, { keys, values, mask: padding });
      },
    ),
    graph('loraLinear', [of(a, b), of(c, b), of(2, b), of(c, 2)], (x, w, f, g) => loraLinear(x, w, f, g, { scale: 2 })),
    graph('quantizedLinear, NF4 with blocks over the ends of rows', [of(a, 16)], (x) =>
      quantizedLinear(x, packed({ scheme: 'nf4', out: 4 * b, in: 16, block: 64 })),
    ),
    graph('quantizedLinear, int4', [of(a, 32 * c)], (x) =>
      quantizedLinear(x, packed({ scheme: 'int4', out: b, in: 32 * c, block: 32 })),
    ),
    graph('tokenLogProbs in chunks', [of(a + b, c), of(b, c)], (h, w) =>
      tokenLogProbs(h, w, indices([a + b], b), { chunk: 2, slopes: false }),
    ),
    graph('tokenLogProbs in chunks and blocks, slopes in passing', [of(a + b, c), of(b, c)], (h, w) =>
      tokenLogProbs(h, w, indices([a + b], b), { chunk: 2, block: 2, slopes: true }),
    ),
  ];
}

/** Float32 numbers for every input, so that both evaluators start from the same values. */
export function feedsOf({ inputs, positive }: GraphCase, seed: number): Record<string, Float32Array> {
  const random = new RandomStream(seed, 'inputs');
  const draw = (): number => (positive ? 0.5 + random.uniform() : 2 * random.uniform() - 1);
  return Object.fromEntries(
    inputs.map(({ name, shape }) => [name, Float32Array.from({ length: sizeOf(shape) }, draw)]),
  );
}

/** Random codes and scales. */
function packed(packing: Packing): PackedWeights {
  const { out, in: width, block } = packing;
  const random = new RandomStream('packed', out, width);
  const codes = Uint8Array.from({ length: (out * width) / 2 }, () => Math.floor(random.uniform() * 256));
  const scales = Float32Array.from({ length: (out * width) / block }, () => random.uniform() - 0.5);
  return {
    packing,
    codes: constant(codes, [codes.length]),
    scales: constant(scales, [scales.length]),
  };
}

function indices(shape: Shape, bound: number): Value {
  const random = new RandomStream(...shape, bound);
  const data = Int32Array.from({ length: sizeOf(shape) }, () => Math.floor(random.uniform() * bound));
  return constant(data, shape);
}

function order(...indices: number[]): Value {
  return constant(Int32Array.from(indices), [indices.length]);
}
