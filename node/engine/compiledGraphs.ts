/**
 * Compiled graphs by shape: the most recently used ones are kept, the others disposed of.
 *
 * A kept graph costs little memory between runs (its weights are shared pages of a file), but compiling takes a tenth
 * of a second for a small model and seconds for a large one.
 */

import { LIMITS } from '../../protocol/limits.ts';
import type { Device } from './device.ts';
import type { CompileOptions, Executable, Executor } from './executor.ts';
import type { Value } from './graph.ts';

export class CompiledGraphs {
  readonly #executor: Executor;
  readonly #capacity: number;
  readonly #options: CompileOptions;
  /** In order of last use. */
  readonly #graphs = new Map<string, Promise<Executable>>();

  /** Keeps at most `capacity` graphs, compiled with `options`. */
  constructor(executor: Executor, capacity: number, options: CompileOptions = {}) {
    this.#executor = executor;
    this.#capacity = capacity;
    this.#options = options;
  }

  /** The graph of that key, built and compiled if it is not at hand. */
  async get(key: string, build: () => Record<string, Value>): Promise<Executable> {
    const graph = this.#graphs.get(key) ?? this.#executor.compile(build(), this.#options);
    this.#graphs.delete(key);
    this.#graphs.set(key, graph);
    try {
      await this.#disposeOldest();
      return await graph;
    } catch (error) {
      this.#graphs.delete(key);
      throw error;
    }
  }

  async #disposeOldest(): Promise<void> {
    for (const [key, graph] of this.#graphs) {
      if (this.#graphs.size <= this.#capacity) return;
      this.#graphs.delete(key);
      await (await graph).dispose();
    }
  }
}

/** How many of `most` graphs over these weights are kept on a device; one at least. */
export function keptGraphs(device: Device, weights: Iterable<{ readonly bytes: number }>, most: number): number {
  if (device === 'cpu' || device === 'tensorflow') return most;
  let bytes = 0;
  for (const weight of weights) bytes += weight.bytes;
  const { acceleratorGraphs, acceleratorWeights } = LIMITS;
  return Math.max(1, Math.min(most, acceleratorGraphs.value, Math.floor(acceleratorWeights.value / bytes)));
}

/** Smallest extent a graph is compiled for. */
const SMALLEST = 16;

/**
 * `count` rounded up to one of four steps per octave: 16, 20, 24, 28, 32, 40, 48, … Shapes are static, so extents come
 * from a coarse scale: few graphs, little padding.
 */
export function roundedExtent(count: number): number {
  if (count <= SMALLEST) return SMALLEST;
  const step = 2 ** Math.ceil(Math.log2(count)) / 8;
  return Math.ceil(count / step) * step;
}
