/**
 * The options of `prefmesh train`, and how they become the terms of a run.
 */
import { type Command, Option } from 'commander';
import { PrefmeshError } from '../../protocol/errors.ts';
import type { Precision } from '../engine/executor.ts';
import type { ModelConfig } from '../model/config.ts';
import { FACTORS, initialAdapter, withAlpha, type Adapter, type Factor } from '../training/adapter.ts';
import { TOKEN_BUDGET } from '../training/policy.ts';
import type { TrainingTerms } from '../training/trainer.ts';
import { addBasePrecision, type BasePrecisionOptions } from './basePrecision.ts';
import { addCommonOptions, precisionOption, type CommonOptions } from './options.ts';
import {
  addTrainingOptions,
  DEFAULT_RANK,
  DEFAULT_TARGETS,
  sharedTerms,
  type TrainingDefaults,
  type TrainingOptions,
} from './trainingOptions.ts';
import { booleanValue, integerValue, numberValue } from './values.ts';

export interface TrainCommandOptions extends CommonOptions, BasePrecisionOptions, TrainingOptions {
  readonly model: string;
  readonly pairs: string;
  readonly out: string;
  readonly initAdapter?: string;
  readonly referenceAdapter?: string;
  readonly evalPairs?: string;
  readonly factor: Factor;
  readonly accumulate: number;
  readonly epochs?: number;
  readonly steps?: number;
  readonly shuffle: boolean;
  readonly tokenBudget: number;
  readonly activationCheckpointing: boolean;
  readonly precision: Precision;
  readonly evalEvery?: number;
  readonly earlyStop?: number;
  readonly earlyStopDelta: number;
  readonly checkpointEvery?: number;
  readonly resume: boolean;
  /** A folder, or true for one in `out`. */
  readonly tensorboard?: string | true;
  readonly csv: boolean;
}

const DEFAULT_ALPHA = 32;
const DEFAULTS: TrainingDefaults = {
  alpha: `${DEFAULT_ALPHA}`,
  over: 'the steps',
  schedule: 'cosine',
  warmup: 0.1,
  shortest: 2,
};

const count = integerValue({ min: 1 });

export function addTrainOptions(command: Command): Command {
  command
    .requiredOption('--model <model>', 'a folder, embedded, or the id of a pulled model')
    .requiredOption('--pairs <file>', 'JSONL of pairs to train on')
    .requiredOption('--out <folder>', 'where the adapter goes')
    .option('--init-adapter <folder>', 'go on from this adapter; its rank, alpha and targets are kept')
    .option('--reference-adapter <folder>', 'hold to the base with this adapter instead of the bare base')
    .option('--eval-pairs <file>', 'JSONL of pairs to watch the loss on: at the start, on the way, at the end')
    .option('--eval-every <n>', 'steps between two evaluations (default: an epoch, or --checkpoint-every)', count)
    .addOption(new Option('--factor <name>', 'which factor is trained').choices(FACTORS).default('both'));
  addTrainingOptions(command, DEFAULTS)
    .option('--accumulate <n>', 'batches that make one step', count, 1)
    .addOption(new Option('--epochs <n>', 'times each pair is seen (default: 1)').argParser(count).conflicts('steps'))
    .addOption(new Option('--steps <n>', 'optimiser steps, instead of epochs').argParser(count))
    .option('--shuffle <true|false>', 'new order of pairs every epoch', booleanValue(), true)
    .option('--token-budget <n>', 'most tokens run at once, padding included: bounds memory', count, TOKEN_BUDGET)
    .option(
      '--activation-checkpointing <true|false>',
      'compute activations again instead of keeping them: half the memory, a quarter more time',
      booleanValue(),
      false,
    )
    .addOption(precisionOption())
    .option(
      '--early-stop <n>',
      'stop after this many evaluations without a lower loss, keeping the best adapter',
      count,
    )
    .option('--early-stop-delta <nats>', 'how much lower a loss must be to count as lower', numberValue({ min: 0 }), 0)
    .option('--checkpoint-every <n>', 'save the run every so many steps (default: 100)', count)
    .option('--resume', 'go on from what an interrupted run saved in --out', false)
    .option('--tensorboard [folder]', 'write event files for TensorBoard (default folder: tensorboard in --out)')
    .option('--csv', 'write training_log.csv in --out, beside training_log.jsonl', false);
  addBasePrecision(command);
  return addCommonOptions(command);
}

/** The terms of the run: what was asked, with what was left out filled in. */
export function trainingTerms(options: TrainCommandOptions, config: ModelConfig): TrainingTerms {
  return {
    ...sharedTerms(options, config),
    accumulate: options.accumulate,
    ...(options.steps === undefined ? { epochs: options.epochs ?? 1 } : { steps: options.steps }),
    shuffle: options.shuffle,
    seed: options.seed,
    factor: options.factor,
  };
}

/**
 * The adapter that a run starts from: a fresh one, or the given one. An --alpha that differs from the given adapter's
 * rescales it to the same effect; another rank or other targets cannot be had.
 *
 * @throws USAGE
 */
export function startingAdapter(
  { rank, alpha, targets, seed }: TrainCommandOptions,
  config: ModelConfig,
  given: Adapter | null,
): Adapter {
  if (given === null) {
    const layout = { rank: rank ?? DEFAULT_RANK, targets: targets ?? DEFAULT_TARGETS };
    return initialAdapter(config, layout, alpha ?? DEFAULT_ALPHA, seed);
  }
  if (rank !== undefined && rank !== given.rank) throw clash('--rank', rank, given.rank);
  if (targets !== undefined && [...targets].sort().join() !== [...given.targets].sort().join()) {
    throw clash('--targets', targets.join(','), given.targets.join(','));
  }
  return alpha === undefined ? given : withAlpha(given, alpha);
}

function clash(flag: string, asked: string | number, found: string | number): PrefmeshError {
  return new PrefmeshError('USAGE', {
    problem: `${flag} ${asked} does not fit --init-adapter, which has ${found}`,
    hint: `leave ${flag} out, or start without --init-adapter`,
  });
}
