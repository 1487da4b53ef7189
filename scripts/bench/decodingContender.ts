/**
 * How fast answers are generated: milliseconds to the first token after a prompt, and tokens a second after it.
 */
import type { Checkpoint } from '../../node/model/checkpoint.ts';
import { Generator, type GeneratorOptions } from '../../node/model/generation.ts';
import { RandomStream } from '../../node/training/randomStream.ts';

export interface DecodingWorkload {
  /** Prompts answered together. */
  readonly rows: number;
  /** Tokens of each prompt. */
  readonly prompt: number;
  /** New tokens of each answer. */
  readonly tokens: number;
}

export interface DecodingRun {
  /** From the call to the first token, in ms. */
  readonly firstToken: number;
  /** Tokens a second of all rows together, from the first token to the last. */
  readonly tokensPerSecond: number;
}

export class DecodingContender implements AsyncDisposable {
  readonly workload: DecodingWorkload;
  readonly #generator: Generator;
  readonly #prompts: readonly (readonly number[])[];

  private constructor(workload: DecodingWorkload, generator: Generator, vocabulary: number) {
    this.workload = workload;
    this.#generator = generator;
    this.#prompts = Array.from({ length: workload.rows }, (_, row) => {
      const random = new RandomStream('benchmark prompt', row);
      return Array.from({ length: workload.prompt }, () => Math.floor(random.uniform() * vocabulary));
    });
  }

  static async open(
    checkpoint: Checkpoint,
    workload: DecodingWorkload,
    options: Omit<GeneratorOptions, 'checkpoint'> = {},
  ): Promise<DecodingContender> {
    // An end token that never comes: every run generates as many tokens as asked.
    const endless = { ...checkpoint, config: { ...checkpoint.config, eosTokenIds: [] } };
    const generator = await Generator.open({ ...options, checkpoint: endless });
    return new DecodingContender(workload, generator, checkpoint.config.vocabSize);
  }

  async run(): Promise<DecodingRun> {
    const { rows, tokens } = this.workload;
    const started = performance.now();
    let first: number | undefined;
    await this.#generator.generate(this.#prompts, {
      maxTokens: tokens,
      onToken: () => (first ??= performance.now()),
    });
    const ended = performance.now();
    return { firstToken: first! - started, tokensPerSecond: (1000 * rows * (tokens - 1)) / (ended - first!) };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#generator[Symbol.asyncDispose]();
  }
}
