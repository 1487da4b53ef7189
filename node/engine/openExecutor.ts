/**
 * From a device's name to an executor that is known to compute right on it.
 */

import { isPrefmeshError, PrefmeshError } from '../../protocol/errors.ts';
import type { Device } from './device.ts';
import type { Executor, ExecutorOptions } from './executor.ts';
import { OnnxRuntimeExecutor } from './onnxruntime.ts';
import { testDevice, testHalfPrecision, testPacking } from './selfTest.ts';
import { TensorFlowExecutor } from './tensorflow.ts';

/** What to do where a device of ONNX Runtime does not answer. */
const REMEDIES: Readonly<Record<Exclude<Device, 'cpu' | 'tensorflow'>, string>> = {
  webgpu: 'install or update the driver of the GPU: Vulkan on Linux, Direct3D 12 on Windows, macOS 13 or later',
  cuda: 'on Linux x64 with an NVIDIA GPU, install CUDA 12, cuDNN 9 and the libraries of docs/how-to/use-a-gpu.md',
  directml: 'it is there on Windows alone, with a driver for Direct3D 12',
  coreml: 'it is there on macOS alone',
};

/** Devices that passed the self-test in this process, and schemes of packing and half precision on them. */
const tested = new Set<string>();

/**
 * Throws `DEVICE_UNAVAILABLE` where the device is not there, `PRECISION_UNSUPPORTED` where it has no half precision and
 * that is asked for, and `DEVICE_WRONG` where it computes wrong values. Never gives an executor of another device.
 */
export async function openExecutor(options: ExecutorOptions = {}): Promise<Executor> {
  const { device = 'cpu', packing, precision = 'float32' } = options;
  const half = precision === 'float16';
  const needed = [
    device,
    ...(packing === undefined ? [] : [`${packing} on ${device}`]),
    ...(half ? [`half on ${device}`] : []),
  ];
  const executor =
    device === 'tensorflow' ? await TensorFlowExecutor.open() : await OnnxRuntimeExecutor.open({ ...options, device });
  if (device === 'cpu' || needed.every((each) => tested.has(each))) return executor;
  try {
    await testDevice(executor);
    if (packing !== undefined) await testPacking(executor, packing);
    if (half) await testHalfPrecision(executor);
    for (const each of needed) tested.add(each);
    return executor;
  } catch (error) {
    await executor[Symbol.asyncDispose]();
    if (device === 'tensorflow' || !isPrefmeshError(error, 'ENGINE_FAILED')) throw error;
    const problem = String(error.details['problem']);
    throw new PrefmeshError('DEVICE_UNAVAILABLE', { device, problem, remedy: REMEDIES[device] }, { cause: error });
  }
}
