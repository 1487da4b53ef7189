/**
 * How ONNX Runtime is told to run a graph on each device.
 */

import type { InferenceSession } from 'onnxruntime-node';
import type { OnnxDevice } from '../device.ts';

type Provider = InferenceSession.ExecutionProviderConfig;

/** Core ML's newer model format, which has the matrix products that the older one lacks. */
const COREML_ML_PROGRAM = 0x10;

const PROVIDERS: Readonly<Record<OnnxDevice, Provider>> = {
  cpu: 'cpu',
  webgpu: 'webgpu',
  cuda: 'cuda',
  directml: 'dml',
  coreml: { name: 'coreml', coreMlFlags: COREML_ML_PROGRAM },
};

export interface SessionSettings {
  readonly device: OnnxDevice;
  readonly threads: number;
  /** Whether weights are packed and converted once, in a private copy, or used as they are in their file. */
  readonly weights: 'fast' | 'small';
  readonly brisk: boolean;
  /** Where a trace of the runs is written, without its ending; none if absent. */
  readonly traceFile?: string | undefined;
}

/** Longer than what one thread alone computes between two kernels of a decode step. */
const SPIN_US = 200;

export function sessionOptions({
  device,
  threads,
  weights,
  brisk,
  traceFile,
}: SessionSettings): InferenceSession.SessionOptions {
  const small = weights === 'small';
  return {
    executionProviders: [PROVIDERS[device]],
    intraOpNumThreads: threads,
    // What is lowered for the processor is fused already: with all optimisers a step of training is a fiftieth slower
    // and its session takes twice as long to make (docs/reference/benchmarks.md).
    graphOptimizationLevel: device === 'cpu' && small ? 'disabled' : 'all',
    // The memory pattern nearly doubles the arena and makes the second run slow; DirectML forbids it.
    enableMemPattern: false,
    // An arena would hold each compiled graph's peak for good; plain allocation is as fast here and gives it back.
    enableCpuMemArena: false,
    logSeverityLevel: 4,
    ...(traceFile === undefined ? {} : { enableProfiling: true, profileFilePrefix: traceFile }),
    extra: {
      // Folding would turn half-precision weights into private float32 copies.
      ...(small && { optimization: { disable_specified_optimizers: 'ConstantFolding' } }),
      session: {
        ...(small && { disable_prepacking: '1' }),
        // Several nodes may share a machine: a thread that waits must not hold a core. Where kernels are shorter than
        // the waking of a thread it holds one after all, for so many microseconds and never between two runs.
        intra_op: brisk ? { allow_spinning: '1', spin_duration_us: String(SPIN_US) } : { allow_spinning: '0' },
        ...(brisk && { force_spinning_stop: '1' }),
      },
    },
  };
}

/**
 * Settings that the libraries of a device read from the environment when they are loaded. CUDA multiplies float32
 * matrices with ten bits of mantissa unless it is told not to, and ONNX Runtime's Node package has no option for it.
 */
export function prepareEnvironment(device: OnnxDevice): void {
  if (device === 'cuda') process.env['NVIDIA_TF32_OVERRIDE'] ??= '0';
}
