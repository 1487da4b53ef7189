import assert from 'node:assert/strict';
import * as ort from 'onnxruntime-node';
import { backward } from '../../../../node/engine/derivative.ts';
import type { OnnxDevice } from '../../../../node/engine/device.ts';
import type { Precision } from '../../../../node/engine/executor.ts';
import { lowerToOnnx } from '../../../../node/engine/onnx/model.ts';
import { evaluate } from '../../../../node/engine/reference.ts';
import { assertClose, relativeError } from '../closeness.ts';
import { seedFor } from '../executorSuite.ts';
import { feedsOf, graphCases, type GraphCase } from '../graphCases.ts';

/**
 * The graph as it is lowered for a device that is not here, run on the CPU: that shows a wrong lowering, though not a
 * wrong kernel of the device.
 */
async function run(
  graph: GraphCase,
  device: OnnxDevice,
  precision: Precision,
): Promise<{ expected: Float64Array; actual: Float32Array }[]> {
  const outputs = [graph.output, ...backward(graph.output, seedFor(graph), graph.inputs)];
  const named = Object.fromEntries(outputs.map((output, i) => [`y${i}`, output]));
  const { bytes } = lowerToOnnx(named, device, precision);
  const session = await ort.InferenceSession.create(bytes, { executionProviders: ['cpu'], logSeverityLevel: 4 });
  const feeds = feedsOf(graph, 2);
  const tensors = Object.fromEntries(
    graph.inputs.map(({ name, shape }) => [name, new ort.Tensor('float32', feeds[name]!, shape)]),
  );
  const results = await session.run(tensors);
  await session.release();
  return evaluate(outputs, feeds).map((expected, i) => ({
    expected: expected.data,
    actual: results[`y${i}`]!.data as Float32Array,
  }));
}

const GRAPHS = graphCases({ a: 2, b: 3, c: 4 });

for (const device of ['webgpu', 'cuda', 'directml', 'coreml'] as const) {
  describe(`graphs lowered for ${device}`, () => {
    for (const graph of GRAPHS) {
      it(`are right: ${graph.name}`, async () => {
        const results = await run(graph, device, 'float32');
        for (const { actual, expected } of results) assertClose(actual, expected, 1e-5, graph.name);
      });

      it(`are right in half precision: ${graph.name}`, async () => {
        for (const { actual, expected } of await run(graph, device, 'float16')) {
          const error = expected.every((value) => value === 0) ? 0 : relativeError(actual, expected);
          assert.ok(error < 5e-3, `off by ${error}`);
        }
      });
    }
  });
}
