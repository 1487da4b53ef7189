/**
 * Generation: many prompts at once, with a key-value cache that stays where the graphs run.
 *
 * Prompts are padded at the end and each row keeps its own length, so a row's answer does not depend on its neighbours.
 * A new token's keys and values overwrite the padding behind the row's last token.
 */

import { CompiledGraphs, keptGraphs, roundedExtent } from '../engine/compiledGraphs.ts';
import type { Device } from '../engine/device.ts';
import type { Executor, ResidentTensor, ResidentWrite } from '../engine/executor.ts';
import { openExecutor } from '../engine/openExecutor.ts';
import type { AdapterLayout } from '../training/adapterVector.ts';
import { RandomStream } from '../training/randomStream.ts';
import { CacheMasks } from './cacheMasks.ts';
import type { Checkpoint } from './checkpoint.ts';
import type { ModelConfig } from './config.ts';
import { cached, cacheNames, promptGraph, tokenGraph, type GenerationModel } from './generationGraph.ts';
import { chooseToken, type SamplingOptions } from './sampling.ts';

export interface GeneratorOptions {
  readonly checkpoint: Checkpoint;
  readonly adapter?:
    { readonly vector: Float32Array; readonly layout: AdapterLayout; readonly scale: number } | undefined;
  readonly device?: Device | undefined;
  readonly threads?: number | undefined;
  readonly cacheFolder?: string | undefined;
}

export interface GenerateOptions {
  readonly maxTokens: number;
  /** 0, the default, is greedy. */
  readonly temperature?: number;
  /** Share of probability that sampling draws from; 1, the default, is all. */
  readonly topP?: number;
  readonly seed?: number;
  readonly signal?: AbortSignal | undefined;
  /** Called with each new token of each prompt. */
  readonly onToken?: (prompt: number, token: number) => void;
}

export interface Generation {
  /** The new tokens, without the end token. */
  readonly tokens: number[];
  readonly finishReason: 'stop' | 'length';
}

/** Prompts that run together: enough to keep two cores busy, few enough that the longest answer holds up few others. */
const ROWS = 32;

/** Compiled graphs of a kind kept at once: those of two shapes. */
const KEPT_GRAPHS = 2;

/** Up to this many bytes of weights, every graph gets a private copy made ready for its kernels: a third faster. */
const COPIED_WEIGHTS = 64 * 1024 * 1024;

/** Up to this many bytes the graph that adds tokens does, and then but one such graph is kept. */
const COPIED_FOR_TOKENS = 2 * 1024 * 1024 * 1024;

/** One prompt on its way. */
interface Row {
  readonly index: number;
  readonly tokens: number[];
  readonly limit: number;
  readonly random: RandomStream;
  /** Tokens in the cache. */
  length: number;
  next: number;
  finishReason: 'stop' | 'length' | undefined;
}

export class Generator implements AsyncDisposable {
  readonly #executor: Executor;
  readonly #model: GenerationModel;
  readonly #reading: CompiledGraphs;
  readonly #adding: CompiledGraphs;
  readonly #adapter: Record<string, ResidentTensor>;

  private constructor(executor: Executor, model: GenerationModel, adapter: Record<string, ResidentTensor>) {
    this.#executor = executor;
    this.#model = model;
    this.#adapter = adapter;
    const { checkpoint } = model;
    const bytes = weightBytes(checkpoint);
    const weights = (most: number) => (bytes <= most ? 'fast' : 'small');
    const kept = keptGraphs(executor.device, checkpoint.tensors.values(), KEPT_GRAPHS);
    this.#reading = new CompiledGraphs(executor, kept, { weights: weights(COPIED_WEIGHTS), brisk: true });
    const adding = bytes <= COPIED_WEIGHTS ? kept : 1;
    this.#adding = new CompiledGraphs(executor, adding, { weights: weights(COPIED_FOR_TOKENS), brisk: true });
  }

  static async open(options: GeneratorOptions): Promise<Generator> {
    const executor = await openExecutor({ ...options, packing: options.checkpoint.quantized?.scheme });
    const { checkpoint, adapter } = options;
    const resident =
      adapter === undefined ? {} : { adapter: await executor.allocate([adapter.vector.length], adapter.vector) };
    return new Generator(executor, { checkpoint, adapter }, resident);
  }

  /** An answer for each prompt, in order. A prompt has at least one token. */
  async generate(prompts: readonly (readonly number[])[], options: GenerateOptions): Promise<Generation[]> {
    const answers: Generation[] = [];
    if (prompts.length === 0) return answers;
    const longest = prompts.reduce((most, prompt) => Math.max(most, prompt.length), 0);
    const time = roundedExtent(longest);
    const context = Math.max(time, roundedExtent(longest + options.maxTokens));
    const size = Math.ceil(prompts.length / Math.ceil(prompts.length / ROWS));
    for (let start = 0; start < prompts.length; start += size) {
      const rows = prompts.slice(start, start + size).map((prompt, i) => this.#row(prompt, start + i, options));
      await this.#answer(rows, prompts, { size, time, context }, options);
      for (const { tokens, finishReason } of rows) answers.push({ tokens, finishReason: finishReason! });
    }
    return answers;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#executor[Symbol.asyncDispose]();
  }

  #row(prompt: readonly number[], index: number, { maxTokens, seed = 0 }: GenerateOptions): Row {
    if (prompt.length === 0) throw new Error(`prompt ${index} has no token to go on from`);
    const limit = Math.min(maxTokens, this.#model.checkpoint.config.maxPositions - prompt.length);
    const random = new RandomStream(seed, 'generation', index);
    const finishReason = limit <= 0 ? 'length' : undefined;
    return { index, tokens: [], limit, random, length: prompt.length, next: 0, finishReason };
  }

  async #answer(
    rows: readonly Row[],
    prompts: readonly (readonly number[])[],
    { size, time, context }: { size: number; time: number; context: number },
    options: GenerateOptions,
  ): Promise<void> {
    const { temperature = 0, topP = 1, signal, onToken } = options;
    const sampling = { temperature, topP };
    const { config } = this.#model.checkpoint;
    const cache = await this.#allocateCache(size, context);
    try {
      const tokens = new Int32Array(size * time);
      const last = new Int32Array(size);
      for (const [i, { index, length }] of rows.entries()) {
        tokens.set(prompts[index]!, i * time);
        last[i] = i * time + length - 1;
      }
      const reading = await this.#reading.get(`prompt ${size} ${time}`, () => promptGraph(this.#model, size, time));
      const feeds = { tokens, last, ...this.#adapter };
      let { logits } = await reading.run(feeds, { signal, writes: writesInto(cache, new Int32Array(size)) });
      takeTokens(rows, logits as Float32Array, config, sampling, onToken);

      const adding = await this.#adding.get(`token ${size} ${context}`, () => tokenGraph(this.#model, size, context));
      const lengths = rows.map(({ length }) => length);
      const masks = new CacheMasks(config, lengths, size, context);
      while (rows.some(({ finishReason }) => finishReason === undefined)) {
        const positions = Int32Array.from({ length: size }, (_, i) => rows[i]?.length ?? 0);
        const step = { tokens: Int32Array.from({ length: size }, (_, i) => rows[i]?.next ?? 0), positions };
        const caches = Object.fromEntries([...cache].map(([name, tensor]) => [cached(name), tensor]));
        const writes = writesInto(cache, positions);
        ({ logits } = await adding.run({ ...step, ...masks.feeds, ...caches, ...this.#adapter }, { signal, writes }));
        for (const [i, row] of rows.entries()) {
          if (row.finishReason === undefined) masks.extend(i, ++row.length);
        }
        takeTokens(rows, logits as Float32Array, config, sampling, onToken);
      }
    } finally {
      await Promise.all([...cache.values()].map((tensor) => this.#executor.release(tensor)));
    }
  }

  async #allocateCache(rows: number, context: number): Promise<Map<string, ResidentTensor>> {
    const { layers, kvHeads, headDim } = this.#model.checkpoint.config;
    const names = Array.from({ length: layers }, (_, layer) => Object.values(cacheNames(layer))).flat();
    // At once: the first token would wait for each answer.
    const tensors = names.map(async (name): Promise<[string, ResidentTensor]> => {
      return [name, await this.#executor.allocate([rows, kvHeads, context, headDim])];
    });
    return new Map(await Promise.all(tensors));
  }
}

function writesInto(cache: ReadonlyMap<string, ResidentTensor>, starts: Int32Array): ResidentWrite[] {
  return [...cache].map(([output, into]) => ({ output, into, starts }));
}

/** Chooses the next token of every row that has not ended, from `logits` `[rows or more, vocabulary]`. */
function takeTokens(
  rows: readonly Row[],
  logits: Float32Array,
  { vocabSize, eosTokenIds }: ModelConfig,
  sampling: SamplingOptions,
  onToken: GenerateOptions['onToken'],
): void {
  for (const [i, row] of rows.entries()) {
    if (row.finishReason !== undefined) continue;
    const own = logits.subarray(i * vocabSize, (i + 1) * vocabSize);
    const token = chooseToken(own, sampling, () => row.random.uniform());
    if (eosTokenIds.includes(token)) {
      row.finishReason = 'stop';
      continue;
    }
    row.next = token;
    row.tokens.push(token);
    onToken?.(row.index, token);
    if (row.tokens.length === row.limit) row.finishReason = 'length';
  }
}

/** What a copy of the weights would take. Packed ones have no copy to gain from: unfolded, they stay 4 bits. */
function weightBytes({ tensors, quantized }: Checkpoint): number {
  if (quantized !== undefined) return Infinity;
  let bytes = 0;
  for (const tensor of tensors.values()) bytes += tensor.bytes;
  return bytes;
}
