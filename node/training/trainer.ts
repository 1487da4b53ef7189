/**
 * LoRA preference training on one machine: a loss of `preferenceLoss.ts`, DPO's unless the terms say otherwise, with
 * AdamW.
 *
 * The reference is fixed for the whole run: its log-probabilities are computed once, before the first step, by the
 * same graph that trains. A run follows from its arguments alone; from a saved state it goes on bit for bit.
 */
import { PrefmeshError } from '../../protocol/errors.ts';
import { factorRanges, type Factor } from './adapter.ts';
import type { AdapterVectorEntry } from './adapterVector.ts';
import { BatchPlan } from './batches.ts';
import { rewardMetrics, tokenCount, type LogProbs, type StepMetrics } from './metrics.ts';
import { AdamW, clipGradient, globalNorm, type AdamWState } from './optimizer.ts';
import { extentOf, type Policy, type TokenizedPair } from './policy.ts';
import { batchLoss, type BatchLoss, type LossTerms } from './preferenceLoss.ts';
import { learningRateAt, type ScheduleName } from './schedule.ts';

export interface TrainingTerms extends LossTerms {
  readonly learningRate: number;
  readonly schedule: ScheduleName;
  /** Share of the steps spent warming up, in [0, 1). */
  readonly warmup: number;
  /** Longest gradient, L2 over the trained factor. */
  readonly maxGradNorm: number;
  /** Decoupled: each step shrinks by learningRate · weightDecay. */
  readonly weightDecay: number;
  /** Pairs that are run at once. */
  readonly batchSize: number;
  /** Batches whose mean gradient makes one step. */
  readonly accumulate: number;
  /** Optimiser steps in all; wins over `epochs`. */
  readonly steps?: number | undefined;
  /** How often each pair is seen; 1 when neither is given. */
  readonly epochs?: number | undefined;
  readonly shuffle: boolean;
  /** Seed of the order of pairs. */
  readonly seed: number;
  /** Which of A and B is trained; the other stays bit for bit as it is. */
  readonly factor: Factor;
}

/** Where a run stands after a step. The arrays are live: copy what must outlast the next step. */
export interface TrainingState {
  /** Steps made. */
  readonly step: number;
  /** Tokens seen. */
  readonly tokens: number;
  readonly adapter: Float32Array;
  readonly optimizer: AdamWState;
}

export interface TrainOptions {
  /** The adapter to start from, flat. It is not changed. */
  readonly adapter: Float32Array;
  /** Where each tensor lies in `adapter`. */
  readonly table: readonly AdapterVectorEntry[];
  /** Summed log-probabilities of the pairs under the reference, `[pairs]`; of the bare base when absent. */
  readonly reference?: LogProbs;
  readonly terms: TrainingTerms;
  /** A state to go on from, instead of the beginning. */
  readonly resume?: TrainingState | undefined;
  readonly signal?: AbortSignal;
  /** Told of every step; training waits for it, and ends early when it answers `stop`. */
  readonly onStep?: (metrics: StepMetrics, state: TrainingState) => StepAnswer | Promise<StepAnswer>;
}

type StepAnswer = 'stop' | void;

export interface TrainResult {
  /** The trained adapter, flat. */
  readonly adapter: Float32Array;
  readonly steps: StepMetrics[];
}

/**
 * Trains an adapter on pairs.
 *
 * @throws TRAINING_DIVERGED when loss or gradient are no longer finite; the adapter of the last good step is lost
 *   unless `onStep` kept it
 */
export async function trainAdapter(
  policy: Policy,
  pairs: readonly TokenizedPair[],
  { adapter: initial, table, terms, resume, signal, onStep, ...given }: TrainOptions,
): Promise<TrainResult> {
  const cancel = signal === undefined ? {} : { signal };
  const reference = given.reference ?? (await policy.logProbs(pairs, null, cancel));
  const plan = new BatchPlan(pairs, terms);
  const trained = factorRanges(table, terms.factor);
  const adapter = (resume?.adapter ?? initial).slice();
  const optimizer = new AdamW(adapter.length, { weightDecay: terms.weightDecay }, resume?.optimizer);
  const steps: StepMetrics[] = [];
  let tokens = resume?.tokens ?? 0;

  for (let step = resume?.step ?? 0; step < plan.totalSteps; step++) {
    signal?.throwIfAborted();
    const started = performance.now();

    const batch = plan.step(step);
    const before = policy.trainedTokens;
    const { loss, chosenLoss, gradient, logProbs } = await batchGradient(
      policy,
      pairs,
      batch,
      adapter,
      reference,
      terms,
      cancel,
    );
    const norm = globalNorm(gradient, trained);
    if (!Number.isFinite(loss) || !Number.isFinite(norm))
      throw new PrefmeshError('TRAINING_DIVERGED', { step: step + 1 });

    clipGradient(gradient, norm, terms.maxGradNorm);
    const learningRate = learningRateAt(step, { ...terms, totalSteps: plan.totalSteps });
    optimizer.update(adapter, gradient, learningRate, trained);

    const seen = batch.flat();
    const stepTokens = seen.reduce((sum, i) => sum + tokenCount(pairs[i]!), 0);
    tokens += stepTokens;
    const seconds = (performance.now() - started) / 1000;
    const metrics: StepMetrics = {
      step: step + 1,
      loss,
      ...(terms.sftWeight ? { sft_loss: chosenLoss } : {}),
      grad_norm: norm,
      learning_rate: learningRate,
      ...rewardMetrics(logProbs, select(reference, seen), terms.beta),
      num_tokens: tokens,
      step_time: seconds,
      tokens_per_second: stepTokens / seconds,
      padding: 1 - (policy.trainedTokens.real - before.real) / (policy.trainedTokens.run - before.run),
      epoch: (step + 1) / plan.stepsPerEpoch,
    };
    steps.push(metrics);
    const answer = await onStep?.(metrics, { step: step + 1, tokens, adapter, optimizer: optimizer.state });
    if (answer === 'stop') break;
  }
  return { adapter, steps };
}

/**
 * Loss and gradient of an effective batch, means over the whole of it however it is split into micro-batches, and the
 * policy's log-probabilities in the order of the batch.
 */
async function batchGradient(
  policy: Policy,
  pairs: readonly TokenizedPair[],
  batch: readonly (readonly number[])[],
  adapter: Float32Array,
  reference: LogProbs,
  terms: TrainingTerms,
  cancel: { signal?: AbortSignal },
): Promise<BatchLoss & { gradient: Float32Array; logProbs: LogProbs }> {
  const order = batch.flat();
  const whole = order.map((i) => pairs[i]!);
  const options = { ...cancel, batch: extentOf(whole) };
  const gradient = new Float32Array(adapter.length);
  const logProbs = { chosen: new Float64Array(order.length), rejected: new Float64Array(order.length) };
  let done = 0;
  for (const micro of batch) {
    const microPairs = micro.map((i) => pairs[i]!);
    const part = await policy.lossAndGradient(microPairs, adapter, select(reference, micro), terms, options);
    for (let i = 0; i < gradient.length; i++) gradient[i]! += part.gradient[i]!;
    logProbs.chosen.set(part.chosen, done);
    logProbs.rejected.set(part.rejected, done);
    done += micro.length;
  }
  return { ...batchLoss(terms, whole, logProbs, select(reference, order)), gradient, logProbs };
}

function select({ chosen, rejected }: LogProbs, indices: readonly number[]): LogProbs {
  return {
    chosen: Float64Array.from(indices, (i) => chosen[i]!),
    rejected: Float64Array.from(indices, (i) => rejected[i]!),
  };
}
