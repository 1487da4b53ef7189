import assert from 'node:assert/strict';
import type { Executor } from '../../../node/engine/executor.ts';
import { OnnxRuntimeExecutor } from '../../../node/engine/onnxruntime.ts';
import { openExecutor } from '../../../node/engine/openExecutor.ts';
import { testDevice, testPacking } from '../../../node/engine/selfTest.ts';

/** The real executor, with one output of every run changed, as a wrong kernel would. */
function withWrongOutput(executor: Executor, output: string, change: (value: number) => number): Executor {
  return {
    device: 'webgpu',
    allocate: (shape, data) => executor.allocate(shape, data),
    release: (tensor) => executor.release(tensor),
    [Symbol.asyncDispose]: () => executor[Symbol.asyncDispose](),
    async compile(outputs, options) {
      const executable = await executor.compile(outputs, options);
      return {
        dispose: () => executable.dispose(),
        async run(feeds, runOptions) {
          const results = await executable.run(feeds, runOptions);
          return { ...results, [output]: results[output]!.map(change) };
        },
      };
    },
  };
}

describe('the self-test of a device', () => {
  let executor: OnnxRuntimeExecutor;
  before(async () => {
    executor = await OnnxRuntimeExecutor.open({ threads: 1 });
  });
  after(() => executor[Symbol.asyncDispose]());

  it('passes a device that computes right', () => testDevice(executor));

  for (const scheme of ['nf4', 'int4'] as const) {
    it(`passes and refuses packed weights too: ${scheme}`, async () => {
      await testPacking(executor, scheme);
      for (const output of [scheme, `gradient by ${scheme}`]) {
        await assert.rejects(
          testPacking(
            withWrongOutput(executor, output, (value) => value * 1.01),
            scheme,
          ),
          {
            code: 'DEVICE_WRONG',
            details: { device: 'webgpu', value: output, error: '1.0e-2' },
          },
        );
      }
    });
  }

  for (const output of ['loss', 'gradient by lora A', 'gradient by x', 'gradient by head']) {
    it(`refuses a device whose ${output} is wrong, and names both`, async () => {
      await assert.rejects(testDevice(withWrongOutput(executor, output, (value) => value * 1.01)), {
        code: 'DEVICE_WRONG',
        details: { device: 'webgpu', value: output, error: '1.0e-2' },
      });
    });
  }

  it('refuses a device that gives what is no number', async () => {
    await assert.rejects(testDevice(withWrongOutput(executor, 'loss', () => NaN)), { code: 'DEVICE_WRONG' });
  });

  it('is no reason to hang where the device is missing', async () => {
    const elsewhere = process.platform === 'darwin' ? 'directml' : 'coreml';
    await assert.rejects(openExecutor({ device: elsewhere, threads: 1 }), { code: 'DEVICE_UNAVAILABLE' });
  });
});
