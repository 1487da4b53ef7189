/**
 * A child process that runs tests of the executor suite on one device, as it is asked for them by name: for devices
 * that need their own environment, and whose drivers may take the process down.
 *
 * Usage: node executorProgram.ts <device>, with an IPC channel.
 */
import { DEVICES, type Device } from '../../../node/engine/device.ts';
import { input } from '../../../node/engine/graph.ts';
import { openExecutor } from '../../../node/engine/openExecutor.ts';
import { executorTests, type ExecutorUnderTest } from './executorSuite.ts';

/** One test's outcome: an error's stack, or nothing. */
export interface TestOutcome {
  readonly name: string;
  readonly error?: string;
}

const device = process.argv[2] as Device;
if (!DEVICES.includes(device)) throw new Error(`no device ${device}`);
const open = () => openExecutor({ device, threads: 1 });
const subject: ExecutorUnderTest = {
  device,
  executor: await open(),
  open,
  tolerance: 1e-5,
  // A software driver takes a quarter of a minute for one course of training.
  whole: (name) => name === 'llama',
  oracle: { values: 1e-3, gradient: 1e-3, adapter: 1e-3 },
};

// WebGPU forgets its compiled shaders with the last session; one that stays spares every test their compilation.
await subject.executor.compile({ kept: input('x', []) });

process.on('message', (name: string) => {
  const test = executorTests(device).find((each) => each.name === name)!;
  test.run(subject).then(
    () => process.send!({ name } satisfies TestOutcome),
    (error: unknown) => process.send!({ name, error: String((error as Error).stack) } satisfies TestOutcome),
  );
});
process.send!({ name: 'ready' } satisfies TestOutcome);
