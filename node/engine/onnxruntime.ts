/**
 * The main executor: graphs lowered to ONNX and run by ONNX Runtime in a worker thread of their own.
 *
 * Given the same inputs, threads and machine, a run gives the same bits.
 */

import { randomUUID } from 'node:crypto';
import { rmSync } from 'node:fs';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { availableParallelism, tmpdir } from 'node:os';
import path from 'node:path';
import { Worker } from 'node:worker_threads';
import type { PrefmeshError } from '../../protocol/errors.ts';
import type { OnnxDevice } from './device.ts';
import type {
  CompileOptions,
  Executable,
  Executor,
  ExecutorOptions,
  ResidentTensor,
  RunOptions,
  TensorData,
} from './executor.ts';
import { failureOf } from './failure.ts';
import { checkFeeds } from './feeds.ts';
import { inTopologicalOrder, sizeOf, type Input, type Shape, type Value } from './graph.ts';
import { lowerToOnnx, type OnnxModel } from './onnx/model.ts';
import { prepareEnvironment } from './onnx/sessionOptions.ts';
import type { FedTensor, Reply, Request } from './onnxruntimeMessages.ts';
import { linkWeights } from './weightFolder.ts';

export class OnnxRuntimeExecutor implements Executor {
  readonly device: OnnxDevice;
  readonly #worker: Worker;
  readonly #threads: number;
  readonly #folder: string;
  /** Removes the folder, where it is this executor's own. */
  readonly #cleanUp: (() => void) | undefined;
  readonly #waiting = new Map<number, PromiseWithResolvers<Reply>>();
  #sequence = 0;
  /** Why the worker ended, once it has. */
  #ended: Error | undefined;

  private constructor(device: OnnxDevice, threads: number, folder: string, ownFolder: boolean) {
    this.device = device;
    this.#threads = threads;
    this.#folder = folder;
    if (ownFolder) {
      this.#cleanUp = () => rmSync(folder, { recursive: true, force: true });
      process.once('exit', this.#cleanUp);
    }
    // The neighbour file, with whatever extension this one has: .ts in a clone, .js in the package.
    this.#worker = new Worker(new URL(`./onnxruntimeWorker${path.extname(import.meta.url)}`, import.meta.url));
    this.#worker.on('message', (reply: Reply) => {
      this.#waiting.get(reply.id)?.resolve(reply);
      this.#waiting.delete(reply.id);
      if (this.#waiting.size === 0) this.#worker.unref();
    });
    this.#worker.on('error', (error) => this.#failAll(error));
    this.#worker.on('exit', () => this.#failAll(new Error('the worker thread ended')));
    this.#worker.unref();
  }

  /** Loads nothing yet: whether the device is there shows when the first graph is compiled. */
  static async open(
    options: ExecutorOptions & { readonly device?: OnnxDevice | undefined } = {},
  ): Promise<OnnxRuntimeExecutor> {
    const { device = 'cpu', threads = availableParallelism(), cacheFolder } = options;
    prepareEnvironment(device);
    if (cacheFolder !== undefined) await mkdir(cacheFolder, { recursive: true });
    const folder = cacheFolder ?? (await mkdtemp(path.join(tmpdir(), 'prefmesh-')));
    return new OnnxRuntimeExecutor(device, threads, folder, cacheFolder === undefined);
  }

  /** Throws `ENGINE_FAILED` where the device cannot take the graph. */
  async compile(outputs: Readonly<Record<string, Value>>, options: CompileOptions = {}): Promise<Executable> {
    if (this.#ended !== undefined) throw this.#failure(this.#ended);
    const model = lowerToOnnx(outputs, this.device, options.precision);
    const folder = await linkWeights(this.#folder, model.weightFiles);
    const file = path.join(folder, `${randomUUID()}.onnx`);
    const session = this.#sequence++;
    try {
      await writeFile(file, model.bytes, { mode: 0o600 });
      const settings = {
        device: this.device,
        threads: this.#threads,
        weights: this.#keeping(model, options),
        brisk: options.brisk === true,
      };
      await this.#ask({ kind: 'compile', session, file, traceFile: options.trace ? file : undefined, ...settings });
    } finally {
      await rm(file, { force: true });
    }
    const inputs = inTopologicalOrder(Object.values(outputs)).filter((value) => value.kind === 'input');
    return {
      run: (feeds, runOptions) => this.#run(session, inputs, feeds, runOptions),
      placement: async () => (await this.#ask({ kind: 'placement', session })).placement!,
      dispose: async () => {
        await this.#ask({ kind: 'dispose', session });
      },
    };
  }

  async allocate(shape: Shape, data: Float32Array = new Float32Array(sizeOf(shape))): Promise<ResidentTensor> {
    const id = this.#sequence++;
    await this.#ask({ kind: 'allocate', resident: id, shape, data });
    return { id, shape };
  }

  async release(tensor: ResidentTensor): Promise<void> {
    await this.#ask({ kind: 'release', resident: tensor.id });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#ended ??= new Error('it was closed');
    await this.#worker.terminate();
    if (this.#cleanUp === undefined) return;
    process.off('exit', this.#cleanUp);
    this.#cleanUp();
  }

  /**
   * Beside the CPU, weights are copied to the device anyway, and not every device can convert half-precision ones by
   * itself: they are made ready once, unless that would unpack 4-bit weights for good.
   */
  #keeping({ packed }: OnnxModel, { weights = 'small' }: CompileOptions): 'fast' | 'small' {
    return this.device === 'cpu' || packed ? weights : 'fast';
  }

  async #run(
    session: number,
    inputs: readonly Input[],
    feeds: Readonly<Record<string, TensorData | ResidentTensor>>,
    { signal, writes = [] }: RunOptions = {},
  ): Promise<Record<string, TensorData>> {
    signal?.throwIfAborted();
    const fed: Record<string, FedTensor | { resident: number }> = {};
    checkFeeds(inputs, feeds);
    for (const { name, shape, type } of inputs) {
      const feed = feeds[name]!;
      fed[name] = 'id' in feed ? { resident: feed.id } : { data: feed, shape, type };
    }
    const request = writes.map(({ output, into, starts }) => ({ output, into: into.id, starts }));
    const reply = await this.#ask({ kind: 'run', session, feeds: fed, writes: request });
    signal?.throwIfAborted();
    return reply.outputs!;
  }

  async #ask(request: Request): Promise<Reply> {
    if (this.#ended !== undefined) throw this.#failure(this.#ended);
    const id = this.#sequence++;
    const answer = Promise.withResolvers<Reply>();
    this.#waiting.set(id, answer);
    // An idle worker must not keep the process alive; a busy one must.
    this.#worker.ref();
    this.#worker.postMessage({ id, request });
    const reply = await answer.promise;
    if (reply.failure === undefined) return reply;
    throw this.#failure(new Error(reply.failure));
  }

  #failAll(cause: Error): void {
    this.#ended ??= cause;
    for (const { reject } of this.#waiting.values()) reject(this.#failure(this.#ended));
    this.#waiting.clear();
  }

  #failure(cause: Error): PrefmeshError {
    return failureOf(this.device, cause);
  }
}
