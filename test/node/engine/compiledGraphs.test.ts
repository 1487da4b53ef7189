import assert from 'node:assert/strict';
import { CompiledGraphs, keptGraphs } from '../../../node/engine/compiledGraphs.ts';
import { input, scalar } from '../../../node/engine/graph.ts';
import { OnnxRuntimeExecutor } from '../../../node/engine/onnxruntime.ts';
import { multiply } from '../../../node/engine/operators/elementwise.ts';

const GiB = 2 ** 30;

describe('compiled graphs', () => {
  it('are all kept where they share their weights, and few where each has a copy', () => {
    const small = [{ bytes: GiB / 4 }, { bytes: GiB / 4 }];
    const large = [{ bytes: 5 * GiB }];
    assert.deepEqual([keptGraphs('cpu', large, 12), keptGraphs('tensorflow', large, 12)], [12, 12]);
    assert.deepEqual([keptGraphs('webgpu', small, 12), keptGraphs('cuda', small, 2)], [4, 2]);
    assert.deepEqual([keptGraphs('cuda', [{ bytes: 1.5 * GiB }], 12), keptGraphs('cuda', large, 12)], [2, 1]);
  });

  it('are compiled once while they are kept, and again after the least used one had to go', async () => {
    await using executor = await OnnxRuntimeExecutor.open({ threads: 1 });
    const graphs = new CompiledGraphs(executor, 2);
    const compiled: number[] = [];
    const times = async (factor: number): Promise<number> => {
      const graph = await graphs.get(String(factor), () => {
        compiled.push(factor);
        return { y: multiply(input('x', []), scalar(factor)) };
      });
      return (await graph.run({ x: Float32Array.of(10) })).y![0]!;
    };
    for (const factor of [1, 2, 1, 3, 1, 2]) assert.equal(await times(factor), 10 * factor);
    assert.deepEqual(compiled, [1, 2, 3, 2]);
  });
});
