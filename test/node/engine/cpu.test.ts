import { OnnxRuntimeExecutor } from '../../../node/engine/onnxruntime.ts';
import type { Executor } from '../../../node/engine/executor.ts';
import { executorTests } from './executorSuite.ts';

describe('ONNX Runtime on the CPU', () => {
  const open = () => OnnxRuntimeExecutor.open({ threads: 1 });
  let executor: Executor;
  before(async () => {
    executor = await open();
  });
  after(() => executor[Symbol.asyncDispose]());

  const oracle = { values: 1e-4, gradient: 0, adapter: 1e-3 };
  for (const test of executorTests('cpu')) {
    it(test.name, () => test.run({ device: 'cpu', executor, open, tolerance: 1e-5, oracle, whole: () => true }));
  }
});
