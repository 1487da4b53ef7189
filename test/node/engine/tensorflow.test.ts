import assert from 'node:assert/strict';
import { mkdtempDisposable } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { createRequire } from 'node:module';
import path from 'node:path';
import { gradients } from '../../../node/engine/derivative.ts';
import { tokenLogProbs } from '../../../node/engine/composites/tokenLogProbs.ts';
import { constant, input, weight } from '../../../node/engine/graph.ts';
import { sum } from '../../../node/engine/operators/broadcasting.ts';
import { multiply } from '../../../node/engine/operators/elementwise.ts';
import { testDevice } from '../../../node/engine/selfTest.ts';
import { TensorFlowExecutor } from '../../../node/engine/tensorflow.ts';
import { loadTensorFlow } from '../../../node/engine/tensorflow/loading.ts';
import { executorTests } from './executorSuite.ts';
import { weightFile } from './weightFile.ts';

describe('TensorFlow.js', function () {
  this.timeout(120_000);
  const open = () => TensorFlowExecutor.open();
  let executor: TensorFlowExecutor;
  before(async () => {
    executor = await open();
  });
  after(() => executor[Symbol.asyncDispose]());

  it('is the plain package here', () => assert.equal(executor.package, '@tensorflow/tfjs'));
  it('passes the self-test', () => testDevice(executor));

  const oracle = { values: 1e-4, gradient: 1e-4, adapter: 1e-3 };
  for (const test of executorTests('tensorflow')) {
    const whole = (name: string) => name === 'llama';
    it(test.name, () => test.run({ device: 'tensorflow', executor, open, tolerance: 1e-5, oracle, whole }));
  }

  it('frees every tensor it made: of runs, of a run that was stopped or failed, of graphs and of itself', async () => {
    const { tensorflow } = await loadTensorFlow();
    await using folder = await mkdtempDisposable(path.join(tmpdir(), 'prefmesh-test-'));
    const [source] = await weightFile(folder.path);
    const before = tensorflow.memory().numTensors;
    {
      await using own = await open();
      const hidden = input('hidden', [2, 3]);
      const logProbs = tokenLogProbs(hidden, weight(source!), constant(Int32Array.of(0, 1), [2]), {
        chunk: 1,
        slopes: true,
      });
      const loss = sum(logProbs, [0]);
      const first = await own.compile({ loss, gradient: gradients(loss, [hidden])[0]! });
      const second = await own.compile({ weighed: multiply(weight(source!), hidden) });
      const compiled = tensorflow.memory().numTensors;
      const feeds = { hidden: Float32Array.of(1, 2, 3, 4, 5, 6) };
      for (let i = 0; i < 3; i++) await first.run(feeds);
      await assert.rejects(first.run({ hidden: { id: 99, shape: [2, 3] } }), { code: 'ENGINE_FAILED' });
      assert.equal(tensorflow.memory().numTensors, compiled);
      await first.dispose();
      assert.deepEqual([...(await second.run(feeds)).weighed!], [0.5, -4, 9.75, 0, 5120, -0.75]);
      await second.dispose();
      assert.equal(tensorflow.memory().numTensors, before);
      await own.compile({ weighed: multiply(weight(source!), hidden) });
      const held = await own.allocate([2, 3]);
      await first.run({ hidden: held }).catch(() => undefined);
    }
    assert.equal(tensorflow.memory().numTensors, before);
  });

  it('puts back what the native packages miss on this Node', () => {
    const util = createRequire(import.meta.url)('node:util') as { isNullOrUndefined(value: unknown): boolean };
    assert.deepEqual(
      [null, undefined, 0].map((value) => util.isNullOrUndefined(value)),
      [true, true, false],
    );
  });

  it('names what to install where no package is', async () => {
    await assert.rejects(loadTensorFlow([{ name: '@tensorflow/not-there', backend: 'cpu' }]), (error: Error) => {
      assert.equal((error as { code?: string }).code, 'DEVICE_UNAVAILABLE');
      assert.match((error as unknown as { fix: string }).fix, /npm install @tensorflow\/tfjs-node-gpu/);
      return true;
    });
  });

  it('says so when a package is there that cannot start', async () => {
    await assert.rejects(loadTensorFlow([{ name: '@tensorflow/tfjs', backend: 'not-there' }]), {
      code: 'DEVICE_UNAVAILABLE',
      message: /@tensorflow\/tfjs is installed but cannot be used: Backend name 'not-there' not found/,
    });
  });
});
