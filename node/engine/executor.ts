/**
 * What runs graphs: compile once, run many times, dispose. Training and generation know only this interface.
 */

import type { PackingScheme } from './byteTable.ts';
import type { Device } from './device.ts';
import type { Shape, Value } from './graph.ts';

export type TensorData = Float32Array | Int32Array;

/** A tensor that stays where graphs run: a key-value cache, an adapter used for many runs. */
export interface ResidentTensor {
  readonly id: number;
  readonly shape: Shape;
}

/**
 * After a run, copies an output `[rows, groups, time, width]` into a resident tensor `[rows, groups, longer, width]`:
 * row `i` begins at time `starts[i]`.
 */
export interface ResidentWrite {
  readonly output: string;
  readonly into: ResidentTensor;
  readonly starts: Int32Array;
}

export interface RunOptions {
  readonly signal?: AbortSignal | undefined;
  /** Outputs that go into resident tensors; they are not given back. */
  readonly writes?: readonly ResidentWrite[];
}

/** What computes one node of a compiled graph. */
export interface Placement {
  /** By its name in ONNX. */
  readonly operator: string;
  /** By its name in ONNX Runtime, such as `CPUExecutionProvider`. */
  readonly provider: string;
}

/** A compiled graph. */
export interface Executable {
  /** The outputs by name, given the inputs by name. Runs are queued; one graph runs at a time. */
  run(
    feeds: Readonly<Record<string, TensorData | ResidentTensor>>,
    options?: RunOptions,
  ): Promise<Record<string, TensorData>>;
  dispose(): Promise<void>;
  /** Of a graph compiled with `trace` and run: which part of the runtime computed each node. */
  placement?(): Promise<readonly Placement[]>;
}

/** What long-lived activations and most products are held and computed in; sums, losses and adapters are float32. */
export const PRECISIONS = ['float32', 'float16'] as const;

export type Precision = (typeof PRECISIONS)[number];

export interface CompileOptions {
  /** Float32 if absent. */
  readonly precision?: Precision | undefined;
  /** Whether to write down what computes which node; slower. */
  readonly trace?: boolean;
  /**
   * `fast` packs and converts frozen weights once, at the price of a private copy of them; `small` uses them as they
   * are in their file, whose pages all processes share.
   */
  readonly weights?: 'fast' | 'small';
  /** Whether many of a run's kernels are short, as for one new token: threads then wait awake a moment for the next. */
  readonly brisk?: boolean;
}

export interface Executor extends AsyncDisposable {
  readonly device: Device;
  compile(outputs: Readonly<Record<string, Value>>, options?: CompileOptions): Promise<Executable>;
  /** A resident float32 tensor, of zeros if no data are given. */
  allocate(shape: Shape, data?: Float32Array): Promise<ResidentTensor>;
  release(tensor: ResidentTensor): Promise<void>;
}

export interface ExecutorOptions {
  /** How weights are packed in the graphs to come, if they are: such graphs are then part of the device's self-test. */
  readonly packing?: PackingScheme | undefined;
  /** What the graphs to come hold activations in: half precision is then part of the self-test. */
  readonly precision?: Precision | undefined;
  readonly device?: Device | undefined;
  /** Threads of one run; all cores if absent. */
  readonly threads?: number | undefined;
  /** Where weight files are linked beside compiled graphs; a private temporary folder if absent. */
  readonly cacheFolder?: string | undefined;
}
