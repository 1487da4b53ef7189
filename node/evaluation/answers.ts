/**
 * Answers of a model, with or without an adapter, to a list of prompts.
 */
import type { Device } from '../engine/device.ts';
import type { Checkpoint } from '../model/checkpoint.ts';
import { Generator } from '../model/generation.ts';
import type { Tokenizer } from '../model/tokenizer.ts';
import type { Adapter } from '../training/adapter.ts';

export interface AnsweringModel {
  readonly checkpoint: Checkpoint;
  readonly tokenizer: Tokenizer;
  /** The bare base when null. */
  readonly adapter: Adapter | null;
  readonly device?: Device;
  readonly threads?: number;
  readonly cacheFolder?: string;
}

export interface AnswerOptions {
  readonly maxTokens: number;
  /** 0 is greedy, the default. */
  readonly temperature?: number;
  readonly seed?: number;
  readonly signal?: AbortSignal;
  /** Called with how many prompts are answered. */
  readonly onAnswered?: (done: number) => void;
}

/** Prompts that are answered at once: their caches are held in memory together. */
const BATCH = 16;

/** One answer for each prompt, in their order. */
export async function answerPrompts(
  model: AnsweringModel,
  prompts: readonly string[],
  { onAnswered, ...options }: AnswerOptions,
): Promise<string[]> {
  const { tokenizer, adapter, ...rest } = model;
  await using generator = await Generator.open({
    ...rest,
    ...(adapter === null
      ? {}
      : { adapter: { vector: adapter.vector, layout: adapter, scale: adapter.alpha / adapter.rank } }),
  });
  const answers: string[] = [];
  for (let start = 0; start < prompts.length; start += BATCH) {
    options.signal?.throwIfAborted();
    const batch = prompts.slice(start, start + BATCH).map((prompt) => tokenizer.encode(prompt));
    const generations = await generator.generate(batch, options);
    answers.push(...generations.map(({ tokens }) => tokenizer.decode(tokens)));
    onAnswered?.(answers.length);
  }
  return answers;
}
