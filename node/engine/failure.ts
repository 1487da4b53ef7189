/**
 * What an executor's failure means to the user. Runtimes tell it in words alone, so words are what is looked at.
 */

import { isPrefmeshError, PrefmeshError } from '../../protocol/errors.ts';
import type { Device } from './device.ts';

/** What runtimes say when there is not enough memory. */
const OUT_OF_MEMORY: readonly RegExp[] = [
  // The processor: ONNX Runtime's allocators, JavaScript's buffers and heap, the system.
  /bad_alloc|bad allocation|failed to allocate memory|cannot allocate memory/i,
  /array buffer allocation failed|invalid typed array length|heap out of memory/i,
  // CUDA: the runtime, its two libraries, and ONNX Runtime's arena on top.
  /cuda failure 2\b|cuda_error_out_of_memory|CU(BLAS|DNN)_STATUS_ALLOC_FAILED|arena ran out of memory/i,
  // WebGPU: a buffer over the device's limit, or one that could not be made and is missed when it is used.
  /exceeds the max buffer size limit|larger than the maximum (storage )?buffer binding size/i,
  /invalid buffer .*due to a previous error|allocation size too large|narrowing_error/i,
  // Direct3D 12's E_OUTOFMEMORY, Metal, and TensorFlow.
  /8007000E|insufficient memory|oom when allocating/i,
  /out of memory/i,
];

/** What they say when the driver gave the device up: after a reset, or a computation that took it too long. */
const LOST = /device (is|was) lost|device lost|887A000[567]|CUDA failure (702|719)\b/i;

/** What WebGPU says to half precision where the device has none. */
const NO_HALF_PRECISION = /requires f16 but the device does not support it/;

/**
 * The error to throw for what a runtime threw: `OUT_OF_MEMORY`, `DEVICE_LOST`, `PRECISION_UNSUPPORTED`, or
 * `ENGINE_FAILED`; a `PrefmeshError` as it is.
 */
export function failureOf(device: Device, thrown: unknown): PrefmeshError {
  if (isPrefmeshError(thrown)) return thrown;
  const cause = thrown instanceof Error ? thrown : new Error(String(thrown));
  const problem = plainProblem(cause.message);
  if (OUT_OF_MEMORY.some((pattern) => pattern.test(cause.message))) {
    return new PrefmeshError('OUT_OF_MEMORY', { device, problem }, { cause });
  }
  if (LOST.test(cause.message)) return new PrefmeshError('DEVICE_LOST', { device, problem }, { cause });
  if (NO_HALF_PRECISION.test(cause.message)) {
    return new PrefmeshError('PRECISION_UNSUPPORTED', { device, precision: 'float16' }, { cause });
  }
  return new PrefmeshError('ENGINE_FAILED', { device, problem }, { cause });
}

/** The runtime's words without its source files and assertions. */
function plainProblem(message: string): string {
  const line = message.split('\n', 1)[0]!;
  return line.replace(/^.* was false\. /, '').replace(/^Non-zero status code returned while running /, 'in ');
}
