/**
 * Which pairs each optimiser step sees.
 *
 * An effective batch is `batchSize · accumulate` consecutive pairs of the epoch's order; the last of an epoch may be
 * smaller. It is run as micro-batches of `batchSize`. Within the effective batch pairs are put into micro-batches by
 * length, so that little is spent on padding; the gradient, a mean over the whole effective batch, is the same.
 *
 * The plan is a function of the seed and the step alone, so a resumed run needs no more than the step's number.
 */
import type { TokenizedPair } from './policy.ts';
import { RandomStream } from './randomStream.ts';

export interface BatchPlanOptions {
  readonly batchSize: number;
  readonly accumulate: number;
  readonly shuffle: boolean;
  readonly seed: number;
  /** How often every pair is seen; ignored when `steps` is given. */
  readonly epochs?: number | undefined;
  /** Optimiser steps in all; the pairs are gone through as often as that takes. */
  readonly steps?: number | undefined;
}

export class BatchPlan {
  readonly totalSteps: number;
  readonly stepsPerEpoch: number;
  readonly #lengths: readonly number[];
  readonly #options: BatchPlanOptions;

  constructor(pairs: readonly TokenizedPair[], options: BatchPlanOptions) {
    this.#options = options;
    this.#lengths = pairs.map(pairLength);
    this.stepsPerEpoch = Math.ceil(pairs.length / (options.batchSize * options.accumulate));
    this.totalSteps = options.steps ?? this.stepsPerEpoch * (options.epochs ?? 1);
  }

  /** The micro-batches of a step (from 0), each a list of indices of pairs. */
  step(step: number): number[][] {
    const { batchSize, accumulate, shuffle, seed } = this.#options;
    const epoch = Math.floor(step / this.stepsPerEpoch);
    const count = this.#lengths.length;
    const order = shuffle ? new RandomStream(seed, 'order', epoch).permutation(count) : [...this.#lengths.keys()];
    const start = (step % this.stepsPerEpoch) * batchSize * accumulate;
    const effective = order.slice(start, start + batchSize * accumulate);
    if (accumulate > 1) effective.sort((a, b) => this.#lengths[a]! - this.#lengths[b]! || a - b);
    const micro: number[][] = [];
    for (let i = 0; i < effective.length; i += batchSize) micro.push(effective.slice(i, i + batchSize));
    return micro;
  }

  /** All micro-batches of the first time through the pairs. */
  firstEpoch(): number[][] {
    return Array.from({ length: this.stepsPerEpoch }, (_, step) => this.step(step)).flat();
  }
}

/** Tokens a pair takes with its prompt shared between the two completions. */
function pairLength(pair: TokenizedPair): number {
  return pair.prompt.length + pair.chosen.length + pair.rejected.length;
}
