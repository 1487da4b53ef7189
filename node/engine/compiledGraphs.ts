/**
 * Compiled graphs by shape, the least recently used ones disposed of when together they hold too much memory.
 */

import type { CompileOptions, Executable, Executor } from './executor.ts';
import type { Value } from './graph.ts';

interface Entry {
  readonly executable: Promise<Executable>;
  readonly weight: number;
}

export class CompiledGraphs {
  readonly #executor: Executor;
  readonly #budget: number;
  readonly #options: CompileOptions;
  /** In order of last use. */
  readonly #entries = new Map<string, Entry>();

  /** `budget` bounds the sum of the weights of what is kept; one graph is always kept. */
  constructor(executor: Executor, budget: number, options: CompileOptions = {}) {
    this.#executor = executor;
    this.#options = options;
    this.#budget = budget;
  }

  /** The graph of that key, built and compiled if it is not at hand. */
  async get(key: string, weight: number, build: () => Record<string, Value>): Promise<Executable> {
    const known = this.#entries.get(key);
    if (known !== undefined) {
      this.#entries.delete(key);
      this.#entries.set(key, known);
      return known.executable;
    }
    await this.#makeRoom(weight);
    const entry = { executable: this.#executor.compile(build(), this.#options), weight };
    this.#entries.set(key, entry);
    try {
      return await entry.executable;
    } catch (error) {
      this.#entries.delete(key);
      throw error;
    }
  }

  async #makeRoom(weight: number): Promise<void> {
    let held = weight;
    for (const entry of this.#entries.values()) held += entry.weight;
    for (const [key, entry] of [...this.#entries]) {
      if (held <= this.#budget) return;
      this.#entries.delete(key);
      held -= entry.weight;
      await (await entry.executable).dispose();
    }
  }
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
