import assert from 'node:assert/strict';
import { mkdtempDisposable, readFile, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { bestDevice, detectDevices, type Detection } from '../../../../node/engine/devices/detection.ts';
import { REASON, softwareVulkan } from '../softwareVulkan.ts';

const absent = { usable: false, reason: 'ONNX Runtime has it on the moon alone' } as const;
const cpu = { usable: true, milliseconds: 100 } as const;
const found = (others: Partial<Detection>): Detection => {
  return { cpu, cuda: absent, webgpu: absent, directml: absent, coreml: absent, ...others };
};

describe('the best device', () => {
  it('is the fastest, and the reason says how the others compare', () => {
    const webgpu = { usable: true, milliseconds: 25 } as const;
    const cuda = { usable: true, milliseconds: 10 } as const;
    assert.deepEqual(bestDevice(found({ webgpu, cuda })), {
      device: 'cuda',
      because: "cuda has 10 times the processor's speed; not webgpu: 4.0 times the processor's speed",
    });
    assert.equal(bestDevice(found({ webgpu })).device, 'webgpu');
  });

  it('is the processor where a working device is hardly faster, or slower', () => {
    const webgpu = { usable: true, milliseconds: 90 } as const;
    assert.deepEqual(bestDevice(found({ webgpu })), {
      device: 'cpu',
      because: "not webgpu: 1.1 times the processor's speed",
    });
  });

  it('is the processor where nothing else works, and the reason is the failure', () => {
    const webgpu = { usable: false, reason: 'No supported adapters' } as const;
    const untimed = { usable: true, milliseconds: null } as const;
    const because = 'not webgpu: No supported adapters';
    assert.deepEqual(bestDevice(found({ cpu: untimed, webgpu })), { device: 'cpu', because });
    assert.deepEqual(bestDevice(found({ cpu: untimed })), { device: 'cpu', because: '' });
  });
});

describe('the detection of devices', function () {
  this.timeout(180_000);
  const environment = { ...process.env };
  afterEach(() => {
    for (const name of ['LD_LIBRARY_PATH', 'VK_DRIVER_FILES', 'VK_ICD_FILENAMES']) {
      if (environment[name] === undefined) delete process.env[name];
      else process.env[name] = environment[name];
    }
  });

  it('tests and times a software driver, does not take it, and remembers that', async function () {
    const driver = softwareVulkan();
    if (driver === null) {
      process.stdout.write(`    skipped: ${REASON}\n`);
      this.skip();
    }
    Object.assign(process.env, driver.environment);
    await using folder = await mkdtempDisposable(path.join(tmpdir(), 'prefmesh-test-'));
    const file = path.join(folder.path, 'cache', 'devices.json');
    const detection = await detectDevices({ file, threads: 1 });
    const { webgpu } = detection;
    assert.ok(webgpu.usable && webgpu.milliseconds! > 0);
    assert.equal(bestDevice(detection).device, 'cpu');

    // What is kept is believed, and tried again only when it is asked for, or when something else would be tried.
    const kept = JSON.parse(await readFile(file, 'utf8')) as { devices: Detection };
    assert.deepEqual(kept.devices, detection);
    const marked = { ...kept, devices: { ...kept.devices, cpu: { usable: true, milliseconds: 1e9 } } };
    await writeFile(file, JSON.stringify(marked));
    assert.equal(bestDevice(await detectDevices({ file, threads: 1 })).device, 'webgpu');
    delete process.env['VK_DRIVER_FILES'];
    delete process.env['VK_ICD_FILENAMES'];
    const without = await detectDevices({ file, threads: 1 });
    assert.deepEqual(without.webgpu, {
      usable: false,
      reason: 'Failed to get a WebGPU adapter: No supported adapters',
    });
    await writeFile(file, 'half a fi');
    assert.deepEqual(await detectDevices({ file, threads: 1 }), without);
  });

  it('costs nothing where there can be no other device', async function () {
    if (process.platform !== 'linux') this.skip();
    process.env['LD_LIBRARY_PATH'] = '';
    const detection = await detectDevices();
    // Only a machine with a Vulkan loader or the CUDA libraries has anything to try.
    if (detection.webgpu.usable || detection.cuda.usable || !/no Vulkan loader/.test(detection.webgpu.reason))
      this.skip();
    assert.equal(bestDevice(detection).device, 'cpu');
  });
});
