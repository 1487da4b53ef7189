import assert from 'node:assert/strict';
import { backward } from '../../../node/engine/derivative.ts';
import { constant, sizeOf, type Value } from '../../../node/engine/graph.ts';
import { OnnxRuntimeExecutor } from '../../../node/engine/onnxruntime.ts';
import { multiply } from '../../../node/engine/operators/elementwise.ts';
import { sum } from '../../../node/engine/operators/reduction.ts';
import { evaluate } from '../../../node/engine/reference.ts';
import { GRAPH_CASES, seededNumbers, type GraphCase } from './graphCases.ts';

/** Float32 numbers for every input, so that both evaluators start from the same values. */
function feedsOf({ inputs, positive }: GraphCase, seed: number): Record<string, Float32Array> {
  const next = seededNumbers(seed);
  const draw = () => (positive === true ? 0.5 + next() : 2 * next() - 1);
  return Object.fromEntries(
    inputs.map(({ name, shape }) => [name, Float32Array.from({ length: sizeOf(shape) }, draw)]),
  );
}

/** The case's output weighed by fixed random numbers, so that every element of the gradient matters. */
function seedFor({ output }: GraphCase): Value {
  const next = seededNumbers(99);
  return constant(
    Float32Array.from({ length: sizeOf(output.shape) }, () => 2 * next() - 1),
    output.shape,
  );
}

function assertClose(actual: ArrayLike<number>, expected: ArrayLike<number>, tolerance: number, what: string): void {
  assert.equal(actual.length, expected.length, `${what}: length`);
  for (let i = 0; i < expected.length; i++) {
    const error = Math.abs(actual[i]! - expected[i]!);
    assert.ok(error <= tolerance * (1 + Math.abs(expected[i]!)), `${what}[${i}]: ${actual[i]} is not ${expected[i]}`);
  }
}

describe('operators', () => {
  describe('have the derivative that finite differences show', () => {
    for (const graph of GRAPH_CASES) {
      it(graph.name, () => {
        const feeds = feedsOf(graph, 1);
        const seed = seedFor(graph);
        const weighed = sum(multiply(graph.output, seed), [...graph.output.shape.keys()]);
        const exact = evaluate(backward(graph.output, seed, graph.inputs), feeds);
        for (const [i, { name }] of graph.inputs.entries()) {
          const step = 1e-4;
          const numeric = Float64Array.from(feeds[name]!, (value, at) => {
            const shifted = (by: number) => {
              const moved = Float64Array.from(feeds[name]!).with(at, value + by);
              return evaluate([weighed], { ...feeds, [name]: moved })[0]!.data[0]!;
            };
            return (shifted(step) - shifted(-step)) / (2 * step);
          });
          assertClose(exact[i]!.data, numeric, 1e-6, `gradient by ${name}`);
        }
      });
    }
  });

  describe('give the reference values when lowered to ONNX', () => {
    let executor: OnnxRuntimeExecutor;
    before(async () => {
      executor = await OnnxRuntimeExecutor.open({ threads: 1 });
    });
    after(() => executor[Symbol.asyncDispose]());

    for (const graph of GRAPH_CASES) {
      it(graph.name, async () => {
        const outputs = [graph.output, ...backward(graph.output, seedFor(graph), graph.inputs)];
        const names = ['output', ...graph.inputs.map(({ name }) => `gradient by ${name}`)];
        const executable = await executor.compile(Object.fromEntries(names.map((name, i) => [name, outputs[i]!])));
        const feeds = feedsOf(graph, 2);
        const actual = await executable.run(feeds);
        for (const [i, expected] of evaluate(outputs, feeds).entries()) {
          assertClose(actual[names[i]!]!, expected.data, 3e-6, names[i]!);
        }
        await executable.dispose();
      });
    }
  });
});
