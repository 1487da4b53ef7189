/**
 * The options of `prefmesh train`, and how they become the terms of a run.
 */
import { type Command, Option } from 'commander';
import { PrefmeshError } from '../../protocol/errors.ts';
import type { Precision } from '../engine/executor.ts';
import type { ModelConfig } from '../model/config.ts';
import { expectedTensors } from '../model/weights.ts';
import { FACTORS, initialAdapter, withAlpha, type Adapter, type Factor } from '../training/adapter.ts';
import { TARGET_MODULES, type TargetModule } from '../training/adapterVector.ts';
import { TOKEN_BUDGET } from '../training/policy.ts';
import { SCHEDULES, type ScheduleName } from '../training/schedule.ts';
import type { TrainingTerms } from '../training/trainer.ts';
import { addBasePrecision, type BasePrecisionOptions } from './basePrecision.ts';
import { addLossOptions, lossTerms, type LossOptions } from './lossOptions.ts';
import { addCommonOptions, precisionOption, type CommonOptions } from './options.ts';
import { booleanValue, integerValue, listValue, numberValue } from './values.ts';

export interface TrainCommandOptions extends CommonOptions, BasePrecisionOptions, LossOptions {
  readonly model: string;
  readonly pairs: string;
  readonly out: string;
  readonly initAdapter?: string;
  readonly referenceAdapter?: string;
  readonly evalPairs?: string;
  readonly rank?: number;
  readonly alpha?: number;
  readonly targets?: TargetModule[];
  readonly factor: Factor;
  readonly learningRate?: number;
  readonly schedule: ScheduleName;
  readonly warmup: number;
  readonly maxGradNorm: number;
  readonly weightDecay: number;
  readonly batchSize: number;
  readonly accumulate: number;
  readonly epochs?: number;
  readonly steps?: number;
  readonly maxLength: number;
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

const DEFAULT_RANK = 16;
const DEFAULT_ALPHA = 32;
const DEFAULT_TARGETS: readonly TargetModule[] = ['q_proj', 'k_proj', 'v_proj', 'o_proj'];

const count = integerValue({ min: 1 });
const positive = numberValue({ min: 0, aboveMin: true });

export function addTrainOptions(command: Command): Command {
  command
    .requiredOption('--model <model>', 'a folder, embedded, or the id of a pulled model')
    .requiredOption('--pairs <file>', 'JSONL of pairs to train on')
    .requiredOption('--out <folder>', 'where the adapter goes')
    .option('--init-adapter <folder>', 'go on from this adapter; its rank, alpha and targets are kept')
    .option('--reference-adapter <folder>', 'hold to the base with this adapter instead of the bare base')
    .option('--eval-pairs <file>', 'JSONL of pairs to watch the loss on: at the start, on the way, at the end')
    .option('--eval-every <n>', 'steps between two evaluations (default: an epoch, or --checkpoint-every)', count)
    .addOption(new Option('--rank <n>', `rank of the adapter (default: ${DEFAULT_RANK})`).argParser(count))
    .addOption(new Option('--alpha <number>', `scale times rank (default: ${DEFAULT_ALPHA})`).argParser(positive))
    .addOption(
      new Option('--targets <names>', `projections to adapt (default: ${DEFAULT_TARGETS.join(',')})`).argParser(
        listValue(TARGET_MODULES),
      ),
    )
    .addOption(new Option('--factor <name>', 'which factor is trained').choices(FACTORS).default('both'));
  addLossOptions(command)
    .option('--learning-rate <number>', 'highest rate (default: by the size of the model)', positive)
    .addOption(new Option('--schedule <name>', 'course of the rate').choices(SCHEDULES).default('cosine'))
    .option('--warmup <share>', 'share of the steps to warm up', numberValue({ min: 0, max: 0.99 }), 0.1)
    .option('--max-grad-norm <number>', 'longest gradient', positive, 1)
    .option('--weight-decay <number>', 'decoupled weight decay', numberValue({ min: 0 }), 0)
    .option('--batch-size <n>', 'pairs run at once', count, 8)
    .option('--accumulate <n>', 'batches that make one step', count, 1)
    .addOption(new Option('--epochs <n>', 'times each pair is seen (default: 1)').argParser(count).conflicts('steps'))
    .addOption(new Option('--steps <n>', 'optimiser steps, instead of epochs').argParser(count))
    .option('--max-length <n>', 'most tokens of prompt and answer', integerValue({ min: 2 }), 1024)
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
    ...lossTerms(options),
    learningRate: options.learningRate ?? defaultLearningRate(config),
    schedule: options.schedule,
    warmup: options.warmup,
    maxGradNorm: options.maxGradNorm,
    weightDecay: options.weightDecay,
    batchSize: options.batchSize,
    accumulate: options.accumulate,
    ...(options.steps === undefined ? { epochs: options.epochs ?? 1 } : { steps: options.steps }),
    shuffle: options.shuffle,
    seed: options.seed,
    factor: options.factor,
  };
}

/**
 * A rate by the size of the model. Large ones fall to noise at rates that small ones barely notice; published LoRA-DPO
 * recipes use 5e-6 from a billion parameters up and ten times that for a tenth of it. The embedded model, far below,
 * learns little in 24 steps at 5e-4, well at 1e-3 to 2e-3, and comes apart at 4e-3.
 */
export function defaultLearningRate(config: ModelConfig): number {
  let parameters = 0;
  for (const shape of expectedTensors(config).values())
    parameters += shape.reduce((product, side) => product * side, 1);
  if (parameters >= 1e9) return 5e-6;
  if (parameters >= 1e8) return 5e-5;
  return 1e-3;
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
