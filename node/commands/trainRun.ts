/**
 * A run of `prefmesh train` before it starts: what it learns from, its terms, and the record that lets it be repeated.
 */
import { createHash } from 'node:crypto';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { PrefmeshError } from '../../protocol/errors.ts';
import type { Checkpoint } from '../model/checkpoint.ts';
import { naming, writeFileAtomic } from '../storage/atomicFile.ts';
import type { Adapter } from '../training/adapter.ts';
import { BatchPlan } from '../training/batches.ts';
import type { TokenizedPair } from '../training/policy.ts';
import { distinguishable } from '../training/tokenization.ts';
import type { TrainingTerms } from '../training/trainer.ts';
import {
  engineSettings,
  openAdapter,
  openModel,
  openPairs,
  type EngineSettings,
  type ModelInput,
} from './modelInput.ts';
import type { Output } from './output.ts';
import { packageVersion } from './program.ts';
import { startingAdapter, trainingTerms, type TrainCommandOptions } from './trainOptions.ts';

export interface TrainingRun {
  readonly out: string;
  readonly checkpoint: Checkpoint;
  readonly settings: EngineSettings;
  readonly terms: TrainingTerms;
  /** How the policy runs pairs. */
  readonly running: { readonly tokenBudget: number; readonly activationCheckpointing: boolean };
  readonly training: LearnablePairs;
  /** Pairs to watch the loss on. */
  readonly watched: LearnablePairs | null;
  /** Where training starts. */
  readonly start: Adapter;
  /** The reference adapter; null for the bare base. */
  readonly anchor: Adapter | null;
  readonly plan: BatchPlan;
  /** Steps between two evaluations: those between checkpoints, else an epoch. */
  readonly evaluateEvery: number;
  readonly checkpointEvery: number | null;
  readonly earlyStop: number | null;
}

/** Pairs that can teach something, and how many were left out or cut. */
export interface LearnablePairs {
  readonly pairs: readonly TokenizedPair[];
  readonly counts: { readonly read: number; readonly dropped: number; readonly cut: number; readonly equal: number };
  readonly maxLength: number;
  /** SHA-256 of the tokens in their order. */
  readonly hash: string;
}

/** Opens everything that the options name. */
export async function prepareRun(options: TrainCommandOptions, output: Output): Promise<TrainingRun> {
  const { evalPairs, initAdapter, referenceAdapter, earlyStop = null, checkpointEvery = null } = options;
  if (earlyStop !== null && evalPairs === undefined) {
    throw new PrefmeshError('USAGE', { problem: '--early-stop needs --eval-pairs', hint: 'pass pairs to watch' });
  }
  const model = await openModel(options.model, options.home);
  const { checkpoint } = model;
  const training = await pairsToLearn(options.pairs, model, options.maxLength, output);
  const watched = evalPairs === undefined ? null : await pairsToLearn(evalPairs, model, options.maxLength, output);
  const given = initAdapter === undefined ? null : await openAdapter(initAdapter, checkpoint, output);
  const anchor = referenceAdapter === undefined ? null : await openAdapter(referenceAdapter, checkpoint, output);
  const terms = trainingTerms(options, checkpoint.config);
  const plan = new BatchPlan(training.pairs, terms);
  return {
    out: options.out,
    checkpoint,
    settings: engineSettings(options),
    terms,
    running: { tokenBudget: options.tokenBudget, activationCheckpointing: options.activationCheckpointing },
    training,
    watched,
    start: startingAdapter(options, checkpoint.config, given),
    anchor,
    plan,
    evaluateEvery: checkpointEvery ?? plan.stepsPerEpoch,
    checkpointEvery,
    earlyStop,
  };
}

async function pairsToLearn(
  file: string,
  model: ModelInput,
  askedLength: number,
  output: Output,
): Promise<LearnablePairs> {
  const { read, pairs: fitting, dropped, cut, maxLength } = await openPairs(file, model, askedLength, output);
  const pairs = distinguishable(fitting);
  const equal = fitting.length - pairs.length;
  if (equal > 0) output.human(`note: ${equal} pairs left out, their two answers are the same`);
  if (pairs.length === 0) {
    throw new PrefmeshError('PAIRS_NONE', { file, problem: 'no pair fits --max-length and has two different answers' });
  }
  const tokens = pairs.map(({ prompt, chosen, rejected }) => [prompt, chosen, rejected]);
  const counts = { read: read.length, dropped: dropped.length, cut: cut.length, equal };
  return { pairs, counts, maxLength, hash: sha256(JSON.stringify(tokens)) };
}

/** Everything that decides the course of a run, content by hash. Equal courses end in equal adapters. */
export function courseOf({
  checkpoint,
  settings,
  terms,
  running,
  training,
  watched,
  start,
  anchor,
  ...run
}: TrainingRun) {
  return {
    base: checkpoint.hash,
    pairs: training.hash,
    evalPairs: watched?.hash ?? null,
    maxLength: training.maxLength,
    initialAdapter: { rank: start.rank, alpha: start.alpha, targets: start.targets, sha256: adapterHash(start) },
    referenceAdapter: anchor && { alpha: anchor.alpha, rank: anchor.rank, sha256: adapterHash(anchor) },
    terms,
    running,
    earlyStop: run.earlyStop,
    evaluateEvery: run.evaluateEvery,
    device: settings.device,
  };
}

/** Names a run by its course. */
export function runHash(run: TrainingRun): string {
  return sha256(JSON.stringify(courseOf(run)));
}

/** Writes `training.json` beside the adapter to be: the resolved settings, and what went in by count and hash. */
export async function saveRecord(run: TrainingRun): Promise<void> {
  const record = {
    prefmesh: packageVersion(),
    model: run.checkpoint.name,
    counts: run.training.counts,
    totalSteps: run.plan.totalSteps,
    ...courseOf(run),
  };
  await naming(run.out, () => mkdir(run.out, { recursive: true }));
  await writeFileAtomic(join(run.out, 'training.json'), `${JSON.stringify(record, null, 2)}\n`, { mode: 0o644 });
}

/** SHA-256 of an adapter's values. */
export function adapterHash({ vector }: Adapter): string {
  return sha256(new Uint8Array(vector.buffer, vector.byteOffset, vector.byteLength));
}

function sha256(content: string | Uint8Array): string {
  return createHash('sha256').update(content).digest('hex');
}
