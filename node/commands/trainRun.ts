/**
 * A run of `prefmesh train` before it starts: what it learns from, its terms, and the record that lets it be repeated.
 */
import type { Precision } from '../engine/executor.ts';
import { createHash } from 'node:crypto';
import { createRequire } from 'node:module';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { PrefmeshError } from '../../protocol/errors.ts';
import type { Checkpoint } from '../model/checkpoint.ts';
import { withAlpha, type Adapter } from '../training/adapter.ts';
import { BatchPlan } from '../training/batches.ts';
import type { EarlyStop } from '../training/evaluationLoss.ts';
import { pairCounts, type PairCounts } from '../training/pairCounts.ts';
import type { TokenizedPair } from '../training/policy.ts';
import type { OptionValue, RunCourse } from '../training/runCourse.ts';
import { RUN_RECORD_FORMAT, type RunRecord } from '../training/runRecord.ts';
import { distinguishable } from '../training/tokenization.ts';
import type { TrainingTerms } from '../training/trainer.ts';
import { atPrecision } from './basePrecision.ts';
import { lossTerms } from './lossOptions.ts';
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
  readonly running: {
    readonly tokenBudget: number;
    readonly activationCheckpointing: boolean;
    readonly precision: Precision;
  };
  readonly training: LearnablePairs;
  /** Pairs to watch the loss on. */
  readonly watched: LearnablePairs | null;
  /** Where training starts. */
  readonly start: Adapter;
  /** The reference adapter; null for the bare base. */
  readonly anchor: Adapter | null;
  readonly plan: BatchPlan;
  /** Steps between two evaluations: as asked, else those between checkpoints if these were asked for, else an epoch. */
  readonly evaluateEvery: number;
  readonly checkpointEvery: number;
  readonly earlyStop: EarlyStop | null;
  readonly course: RunCourse;
  /** Where metrics go besides `training_log.jsonl`; null for nowhere. */
  readonly logs: { readonly tensorboard: string | null; readonly csv: string | null };
}

/** Steps between two saved states, where nothing is asked for: seconds of work at most on a small model. */
const CHECKPOINT_EVERY = 100;

/** Pairs that can teach something, and how many were left out or cut. */
export interface LearnablePairs {
  readonly pairs: readonly TokenizedPair[];
  readonly counts: PairCounts;
  readonly maxLength: number;
  /** SHA-256 of the tokens in their order. */
  readonly hash: string;
}

/** Opens everything that the options name. */
export async function prepareRun(options: TrainCommandOptions, output: Output): Promise<TrainingRun> {
  const { evalPairs, initAdapter, referenceAdapter } = options;
  for (const [flag, value] of [
    ['--early-stop', options.earlyStop],
    ['--eval-every', options.evalEvery],
  ] as const) {
    if (value === undefined || evalPairs !== undefined) continue;
    throw new PrefmeshError('USAGE', { problem: `${flag} needs --eval-pairs`, hint: 'pass pairs to watch' });
  }
  const model = await atPrecision(await openModel(options.model, options.home), options, output);
  const { checkpoint } = model;
  const training = await pairsToLearn(options.pairs, model, options.maxLength, output);
  const watched = evalPairs === undefined ? null : await pairsToLearn(evalPairs, model, options.maxLength, output);
  if (watched !== null) noteSharedPrompts(training.pairs, watched.pairs, output);
  const given = initAdapter === undefined ? null : await openAdapter(initAdapter, checkpoint, output);
  const anchor = referenceAdapter === undefined ? null : await openAdapter(referenceAdapter, checkpoint, output);
  const terms = trainingTerms(options, checkpoint.config);
  const plan = new BatchPlan(training.pairs, terms);
  const start = startingAdapter(options, checkpoint.config, given);
  // The sums of a run depend on how its work is split, so the number of threads belongs to it.
  const settings = { ...(await engineSettings(options, output)), threads: options.threads ?? availableParallelism() };
  const evaluateEvery = options.evalEvery ?? options.checkpointEvery ?? plan.stepsPerEpoch;
  const { rank, alpha, targets } = start;
  const resolved: Partial<TrainCommandOptions> = {
    ...{ rank, alpha, targets: [...targets] },
    ...(lossTerms(options) as Partial<TrainCommandOptions>),
    learningRate: terms.learningRate,
    maxLength: training.maxLength,
    device: settings.device,
    threads: settings.threads,
    ...(terms.steps === undefined && { epochs: terms.epochs ?? 1 }),
    ...(watched !== null && { evalEvery: evaluateEvery }),
  };
  const inputs = {
    'base model': checkpoint.hash,
    'quantised base': checkpoint.quantized?.hash ?? null,
    pairs: training.hash,
    'evaluation pairs': watched?.hash ?? null,
    'initial adapter': given && adapterHash(start),
    'reference adapter': anchor && adapterHash(withAlpha(anchor, anchor.rank)),
  };
  return {
    out: options.out,
    checkpoint,
    settings,
    terms,
    running: {
      tokenBudget: options.tokenBudget,
      activationCheckpointing: options.activationCheckpointing,
      precision: options.precision,
    },
    training,
    watched,
    start,
    anchor,
    plan,
    evaluateEvery,
    checkpointEvery: options.checkpointEvery ?? CHECKPOINT_EVERY,
    earlyStop: options.earlyStop === undefined ? null : { patience: options.earlyStop, delta: options.earlyStopDelta },
    course: courseOf(options, resolved, inputs),
    logs: {
      tensorboard: options.tensorboard === true ? join(options.out, 'tensorboard') : (options.tensorboard ?? null),
      csv: options.csv ? join(options.out, 'training_log.csv') : null,
    },
  };
}

async function pairsToLearn(
  file: string,
  model: ModelInput,
  askedLength: number,
  output: Output,
): Promise<LearnablePairs> {
  const { maxLength, ...tokenized } = await openPairs(file, model, askedLength, output);
  const pairs = distinguishable(tokenized.pairs);
  const equal = tokenized.pairs.length - pairs.length;
  if (equal > 0) output.human(`note: ${equal} pairs left out, their two answers are the same`);
  if (pairs.length === 0) {
    throw new PrefmeshError('PAIRS_NONE', { file, problem: 'no pair fits --max-length and has two different answers' });
  }
  const tokens = pairs.map(({ prompt, chosen, rejected }) => [prompt, chosen, rejected]);
  return { pairs, counts: pairCounts(tokenized, equal), maxLength, hash: sha256(JSON.stringify(tokens)) };
}

/** Says how many watched pairs have a prompt that training sees: their loss falls by what is learnt by heart too. */
function noteSharedPrompts(
  training: readonly TokenizedPair[],
  watched: readonly TokenizedPair[],
  output: Output,
): void {
  const seen = new Set(training.map(({ prompt }) => prompt.join()));
  const shared = watched.filter(({ prompt }) => seen.has(prompt.join())).length;
  if (shared === 0) return;
  output.human(`note: ${shared} of ${watched.length} pairs of --eval-pairs have a prompt that --pairs has too`);
}

/** Options that name what is had anyway, or do not change what a run ends in. */
const OUTSIDE_THE_COURSE = new Set<string>([
  'home',
  'json',
  'logLevel',
  'config',
  'model',
  'pairs',
  'out',
  'initAdapter',
  'referenceAdapter',
  'evalPairs',
  'resume',
  'checkpointEvery',
  'tensorboard',
  'csv',
] satisfies (keyof TrainCommandOptions)[]);

/** What decides the run's end: all options as they were resolved, and what went in by hash. */
function courseOf(
  options: TrainCommandOptions,
  resolved: Partial<TrainCommandOptions>,
  inputs: RunCourse['inputs'],
): RunCourse {
  const named: Record<string, OptionValue> = {};
  for (const [name, value] of Object.entries({ ...options, ...resolved })) {
    if (OUTSIDE_THE_COURSE.has(name) || value === undefined) continue;
    const flag = name.replaceAll(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
    named[flag] = Array.isArray(value) ? value.join(',') : (value as OptionValue);
  }
  return { inputs, options: named };
}

/** What `training_config.json` says of a run that has not ended yet. */
export function recordOf({ checkpoint, course, training, watched, plan }: TrainingRun): RunRecord {
  return {
    format: RUN_RECORD_FORMAT,
    prefmesh: packageVersion(),
    runtime: runtimeVersions(),
    model: checkpoint.name,
    ...course,
    counts: { pairs: training.counts, evaluationPairs: watched && watched.counts },
    totalSteps: plan.totalSteps,
    result: null,
  };
}

/** What the figures of a run depend on besides its course. */
function runtimeVersions(): Record<string, string> {
  const { version } = createRequire(import.meta.url)('onnxruntime-node/package.json') as { version: string };
  return { node: process.versions.node, onnxruntime: version, platform: `${process.platform} ${process.arch}` };
}

/** SHA-256 of an adapter's values. */
export function adapterHash({ vector }: Adapter): string {
  return sha256(new Uint8Array(vector.buffer, vector.byteOffset, vector.byteLength));
}

function sha256(content: string | Uint8Array): string {
  return createHash('sha256').update(content).digest('hex');
}
