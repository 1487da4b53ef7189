/**
 * One thing that is measured: optimiser steps of LoRA-DPO on a model, on made-up pairs of one length.
 */
import type { Checkpoint } from '../../node/model/checkpoint.ts';
import { initialAdapter, type Adapter } from '../../node/training/adapter.ts';
import type { LogProbs } from '../../node/training/metrics.ts';
import { Policy, type TokenizedPair } from '../../node/training/policy.ts';
import { RandomStream } from '../../node/training/randomStream.ts';
import { trainAdapter } from '../../node/training/trainer.ts';

export interface Workload {
  /** Pairs of a step. */
  readonly batch: number;
  /** Tokens of a prompt, and of each of its two completions. */
  readonly prompt: number;
  readonly completion: number;
  /** Steps of one run. */
  readonly steps: number;
}

const LAYOUT = { rank: 16, targets: ['q_proj', 'k_proj', 'v_proj', 'o_proj'] as const };

export class Contender implements AsyncDisposable {
  readonly name: string;
  readonly workload: Workload;
  readonly #policy: Policy;
  readonly #pairs: readonly TokenizedPair[];
  readonly #adapter: Adapter;
  readonly #reference: LogProbs;

  private constructor(
    name: string,
    workload: Workload,
    policy: Policy,
    pairs: readonly TokenizedPair[],
    adapter: Adapter,
    reference: LogProbs,
  ) {
    this.name = name;
    this.workload = workload;
    this.#policy = policy;
    this.#pairs = pairs;
    this.#adapter = adapter;
    this.#reference = reference;
  }

  /** Opens the model and computes the reference, which no run counts. */
  static async open(name: string, checkpoint: Checkpoint, workload: Workload, threads?: number): Promise<Contender> {
    const adapter = initialAdapter(checkpoint.config, LAYOUT, 2 * LAYOUT.rank, 0);
    const policy = await Policy.open({ checkpoint, layout: LAYOUT, scale: 2, threads });
    const pairs = randomPairs(workload, checkpoint.config.vocabSize);
    return new Contender(name, workload, policy, pairs, adapter, await policy.logProbs(pairs, null));
  }

  /** Prompt and completion tokens of a step, the prompt counted once for each completion. */
  get tokensPerStep(): number {
    const { batch, prompt, completion } = this.workload;
    return 2 * batch * (prompt + completion);
  }

  /** Steps per second of one run. */
  async run(): Promise<number> {
    const { batch, steps } = this.workload;
    const started = performance.now();
    await trainAdapter(this.#policy, this.#pairs, {
      adapter: this.#adapter.vector,
      table: this.#adapter.table,
      reference: this.#reference,
      terms: {
        loss: 'sigmoid',
        beta: 0.1,
        learningRate: 1e-4,
        schedule: 'constant',
        warmup: 0,
        maxGradNorm: 1,
        weightDecay: 0,
        batchSize: batch,
        accumulate: 1,
        steps,
        shuffle: false,
        seed: 0,
        factor: 'both',
      },
    });
    return (1000 * steps) / (performance.now() - started);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#policy[Symbol.asyncDispose]();
  }
}

function randomPairs({ batch, prompt, completion }: Workload, vocabulary: number): TokenizedPair[] {
  return Array.from({ length: batch }, (_, i) => {
    const random = new RandomStream('benchmark pair', i);
    const tokens = (count: number) => Array.from({ length: count }, () => Math.floor(random.uniform() * vocabulary));
    return { id: String(i), prompt: tokens(prompt), chosen: tokens(completion), rejected: tokens(completion) };
  });
}
