import fc from 'fast-check';
import { backward } from '../../../node/engine/derivative.ts';
import { OnnxRuntimeExecutor } from '../../../node/engine/onnxruntime.ts';
import { multiply } from '../../../node/engine/operators/elementwise.ts';
import { sum } from '../../../node/engine/operators/broadcasting.ts';
import { evaluate } from '../../../node/engine/reference.ts';
import { RandomStream } from '../../../node/training/randomStream.ts';
import { assertClose } from './closeness.ts';
import { checkGraph, seedFor } from './executorSuite.ts';
import { feedsOf, graphCases, type GraphCase } from './graphCases.ts';

const FIXED = graphCases({ a: 2, b: 3, c: 4 });

/** Compares the exact derivative with central differences along each of the given directions. */
function checkDerivative(graph: GraphCase, directionsOf: (size: number) => Float64Array[]): void {
  const feeds = feedsOf(graph, 1);
  const seed = seedFor(graph);
  const weighed = sum(multiply(graph.output, seed), [...graph.output.shape.keys()]);
  const exact = evaluate(backward(graph.output, seed, graph.inputs), feeds);
  const step = 1e-4;
  for (const [i, { name }] of graph.inputs.entries()) {
    const gradient = exact[i]!.data;
    for (const direction of directionsOf(gradient.length)) {
      const shifted = (by: number): number => {
        const moved = direction.map((d, at) => feeds[name]![at]! + by * d);
        return evaluate([weighed], { ...feeds, [name]: moved })[0]!.data[0]!;
      };
      const numeric = (shifted(step) - shifted(-step)) / (2 * step);
      const along = gradient.reduce((total, g, at) => total + g * direction[at]!, 0);
      assertClose([along], [numeric], 1e-6, `gradient by ${name}`);
    }
  }
}

/** One direction for each element. */
function axes(size: number): Float64Array[] {
  return Array.from({ length: size }, (_, i) => new Float64Array(size).with(i, 1));
}

/** One direction that has a part of every element. */
function oblique(size: number): Float64Array[] {
  const random = new RandomStream('direction', size);
  return [Float64Array.from({ length: size }, () => 2 * random.uniform() - 1)];
}

describe('operators', () => {
  let executor: OnnxRuntimeExecutor;
  before(async () => {
    executor = await OnnxRuntimeExecutor.open({ threads: 1 });
  });
  after(() => executor[Symbol.asyncDispose]());

  describe('have the derivative that finite differences show', () => {
    for (const graph of FIXED) it(graph.name, () => checkDerivative(graph, axes));
  });

  it('keep it, and the reference values on the CPU, at other extents, those of 1 included', async () => {
    const extent = fc.integer({ min: 1, max: 5 });
    const extents = fc.record({ a: extent, b: extent, c: extent });
    const chosen = fc.nat({ max: FIXED.length - 1 });
    await fc.assert(
      fc.asyncProperty(extents, chosen, async (sizes, index) => {
        const graph = graphCases(sizes)[index]!;
        checkDerivative(graph, oblique);
        await checkGraph(executor, graph, 1e-5);
      }),
      { numRuns: 80, seed: 7 },
    );
  });
});
