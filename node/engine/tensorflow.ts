/**
 * The optional executor: the primitives of a graph interpreted one after the other through TensorFlow.js, for those
 * who have a build of it that uses their GPU.
 *
 * Everything is float32. Tensors are freed as soon as nothing needs them. A run gives way to other work between
 * operators, so it needs no thread of its own, and it can be stopped in its middle.
 */

import { setImmediate as nextTurn } from 'node:timers/promises';
import { PrefmeshError } from '../../protocol/errors.ts';
import { LIMITS } from '../../protocol/limits.ts';
import type {
  CompileOptions,
  Executable,
  Executor,
  ResidentTensor,
  ResidentWrite,
  RunOptions,
  TensorData,
} from './executor.ts';
import { checkFeeds, writeRows } from './feeds.ts';
import { sizeOf, type Shape, type Value, type Weight } from './graph.ts';
import { failureOf } from './failure.ts';
import { loadTensorFlow, type TensorFlow } from './tensorflow/loading.ts';
import { planOf, type Plan } from './tensorflow/plan.ts';
import type { TensorHandle } from './tensorflow/tensorApi.ts';
import { readWeight } from './weightData.ts';

interface SharedWeight {
  readonly tensor: TensorHandle;
  users: number;
}

export class TensorFlowExecutor implements Executor {
  readonly device = 'tensorflow';
  /** The npm package that computes. */
  readonly package: string;
  readonly #tensorflow: TensorFlow;
  /** Weights by file and place: graphs of several shapes share them. */
  readonly #weights = new Map<string, SharedWeight>();
  readonly #residents = new Map<
    number,
    { readonly shape: Shape; readonly data: Float32Array; tensor?: TensorHandle }
  >();
  readonly #live = new Set<TensorHandle>();
  #sequence = 0;
  #queue: Promise<unknown> = Promise.resolve();
  #closed = false;

  private constructor(tensorflow: TensorFlow, name: string) {
    this.#tensorflow = tensorflow;
    this.package = name;
  }

  /** Throws `DEVICE_UNAVAILABLE` where no TensorFlow.js package is installed, or the one there cannot start. */
  static async open(): Promise<TensorFlowExecutor> {
    const { tensorflow, package: name } = await loadTensorFlow();
    return new TensorFlowExecutor(tensorflow, name);
  }

  async compile(outputs: Readonly<Record<string, Value>>, { precision }: CompileOptions = {}): Promise<Executable> {
    this.#checkOpen();
    if (precision === 'float16') throw new PrefmeshError('PRECISION_UNSUPPORTED', { device: this.device, precision });
    const plan = planOf(outputs);
    const leaves = new Map<Value, TensorHandle>();
    const weights: Weight[] = [];
    const dispose = (): void => {
      for (const [leaf, tensor] of leaves) if (leaf.kind === 'constant') this.#free(tensor);
      leaves.clear();
      for (const leaf of weights.splice(0)) this.#releaseWeight(leaf);
    };
    try {
      for (const leaf of plan.leaves) {
        if (leaf.kind === 'constant') {
          leaves.set(leaf, this.#keep(this.#tensorflow.tensor(wide(leaf.data), leaf.shape, wideType(leaf))));
        } else {
          leaves.set(leaf, await this.#weight(leaf));
          weights.push(leaf);
        }
      }
    } catch (error) {
      dispose();
      throw failureOf(this.device, error);
    }
    return {
      run: (feeds, options) => this.#run(plan, leaves, feeds, options),
      dispose: () => this.#inTurn(async () => dispose()),
    };
  }

  async allocate(shape: Shape, data: Float32Array = new Float32Array(sizeOf(shape))): Promise<ResidentTensor> {
    this.#checkOpen();
    const id = this.#sequence++;
    this.#residents.set(id, { shape, data: data.slice() });
    return { id, shape };
  }

  async release({ id }: ResidentTensor): Promise<void> {
    await this.#inTurn(async () => {
      this.#free(this.#residents.get(id)?.tensor);
      this.#residents.delete(id);
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closed = true;
    await this.#queue;
    for (const tensor of this.#live) tensor.dispose();
    this.#live.clear();
    this.#weights.clear();
    this.#residents.clear();
  }

  async #run(
    plan: Plan,
    leaves: ReadonlyMap<Value, TensorHandle>,
    feeds: Readonly<Record<string, TensorData | ResidentTensor>>,
    options: RunOptions = {},
  ): Promise<Record<string, TensorData>> {
    options.signal?.throwIfAborted();
    checkFeeds(plan.inputs, feeds);
    // As they are now: the caller may change them before this run's turn comes.
    const copies = Object.fromEntries(
      Object.entries(feeds).map(([name, feed]) => [name, 'id' in feed ? feed : feed.slice()]),
    );
    return this.#inTurn(async () => {
      this.#checkOpen();
      try {
        return await this.#compute(plan, leaves, copies, options);
      } catch (error) {
        throw options.signal?.aborted === true ? error : failureOf(this.device, error);
      }
    });
  }

  async #compute(
    plan: Plan,
    leaves: ReadonlyMap<Value, TensorHandle>,
    feeds: Readonly<Record<string, TensorData | ResidentTensor>>,
    { signal, writes = [] }: RunOptions,
  ): Promise<Record<string, TensorData>> {
    const values = new Map<Value, TensorHandle>(leaves);
    const fed: TensorHandle[] = [];
    try {
      for (const each of plan.inputs) {
        const feed = feeds[each.name]!;
        if (!('id' in feed)) fed.push(this.#tensorflow.tensor(feed, each.shape, wideType(each)));
        values.set(each, 'id' in feed ? this.#resident(feed) : fed.at(-1)!);
      }
      let turnEnds = performance.now() + LIMITS.interpreterTurn.value;
      for (const { node, lastUses } of plan.steps) {
        if (node.operator.kind === 'composite') throw new Error(`${node.operator.name} was not expanded`);
        const { operator } = node;
        const inputs = node.inputs.map((input) => values.get(input)!);
        values.set(
          node,
          this.#tensorflow.tidy(() => operator.interpret(this.#tensorflow, inputs, node)),
        );
        for (const value of lastUses) {
          values.get(value)!.dispose();
          values.delete(value);
        }
        if (performance.now() < turnEnds) continue;
        await nextTurn();
        signal?.throwIfAborted();
        turnEnds = performance.now() + LIMITS.interpreterTurn.value;
      }
      const outputs: Record<string, TensorData> = {};
      for (const [name, value] of plan.outputs) outputs[name] = (await values.get(value)!.data()).slice();
      signal?.throwIfAborted();
      return this.#write(outputs, plan, writes);
    } finally {
      for (const tensor of fed) tensor.dispose();
      for (const [value, tensor] of values) if (value.kind === 'application') tensor.dispose();
    }
  }

  /** Moves outputs into resident tensors; gives back the others. */
  #write(
    outputs: Record<string, TensorData>,
    plan: Plan,
    writes: readonly ResidentWrite[],
  ): Record<string, TensorData> {
    const rest = { ...outputs };
    for (const { output, into, starts } of writes) {
      const resident = this.#residents.get(into.id)!;
      const from = { data: outputs[output]!, shape: plan.outputs.get(output)!.shape };
      writeRows(from, resident, starts);
      this.#free(resident.tensor);
      delete resident.tensor;
      delete rest[output];
    }
    return rest;
  }

  #resident({ id }: ResidentTensor): TensorHandle {
    const resident = this.#residents.get(id);
    if (resident === undefined) throw new Error('the resident tensor was released');
    resident.tensor ??= this.#keep(this.#tensorflow.tensor(resident.data, resident.shape, 'float32'));
    return resident.tensor;
  }

  async #weight(leaf: Weight): Promise<TensorHandle> {
    const key = keyOf(leaf);
    let shared = this.#weights.get(key);
    if (shared === undefined) {
      const data = await readWeight(leaf.source);
      shared = { tensor: this.#keep(this.#tensorflow.tensor(wide(data), leaf.shape, wideType(leaf))), users: 0 };
      this.#weights.set(key, shared);
    }
    shared.users++;
    return shared.tensor;
  }

  #releaseWeight(leaf: Weight): void {
    const shared = this.#weights.get(keyOf(leaf));
    if (shared === undefined || --shared.users > 0) return;
    this.#free(shared.tensor);
    this.#weights.delete(keyOf(leaf));
  }

  #keep(tensor: TensorHandle): TensorHandle {
    this.#live.add(tensor);
    return tensor;
  }

  #free(tensor: TensorHandle | undefined): void {
    if (tensor === undefined || !this.#live.delete(tensor)) return;
    tensor.dispose();
  }

  #checkOpen(): void {
    if (this.#closed) throw new PrefmeshError('ENGINE_FAILED', { device: this.device, problem: 'it was closed' });
  }

  /** One thing at a time, in order. */
  #inTurn<Result>(work: () => Promise<Result>): Promise<Result> {
    const result = this.#queue.then(work);
    this.#queue = result.catch(() => undefined);
    return result;
  }
}

function keyOf({ source }: Weight): string {
  return `${source.file} ${source.offset} ${source.dtype}`;
}

/** TensorFlow.js has no unsigned bytes; they are held as integers. */
function wide(data: Float32Array | Int32Array | Uint8Array): TensorData {
  return data instanceof Uint8Array ? Int32Array.from(data) : data;
}

function wideType({ type }: Value): 'float32' | 'int32' {
  return type === 'uint8' ? 'int32' : type;
}
