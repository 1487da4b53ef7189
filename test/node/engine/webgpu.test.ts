import { executorTests } from './executorSuite.ts';
import { REASON, softwareVulkan } from './softwareVulkan.ts';
import { TestProcess } from './testProcess.ts';

describe('ONNX Runtime on WebGPU, a software driver', function () {
  this.timeout(180_000);
  let child: TestProcess | undefined;

  before(async function () {
    const driver = softwareVulkan();
    if (driver === null) {
      process.stdout.write(`    skipped: ${REASON}\n`);
      this.skip();
    }
    child = await TestProcess.start('webgpu', driver.environment);
  });
  after(() => child?.stop());

  for (const { name } of executorTests('webgpu')) it(name, () => child!.run(name));
});
