/**
 * The options that `prefmesh train` and `prefmesh federation create` share: the adapter that is trained, what training
 * minimises, and how it steps. Both run the same trainer, so both are told the same way; where a default differs, the
 * command says so.
 */
import { type Command, Option } from 'commander';
import type { ModelConfig } from '../model/config.ts';
import { expectedTensors } from '../model/weights.ts';
import { TARGET_MODULES, type TargetModule } from '../training/adapterVector.ts';
import { SCHEDULES, type ScheduleName } from '../training/schedule.ts';
import type { TrainingTerms } from '../training/trainer.ts';
import { addLossOptions, lossTerms, type LossOptions } from './lossOptions.ts';
import { integerValue, listValue, numberValue } from './values.ts';

export interface TrainingOptions extends LossOptions {
  readonly rank?: number;
  readonly alpha?: number;
  readonly targets?: TargetModule[];
  readonly learningRate?: number;
  readonly schedule: ScheduleName;
  readonly warmup: number;
  readonly maxGradNorm: number;
  readonly weightDecay: number;
  readonly batchSize: number;
  readonly maxLength: number;
}

/** What a command that trains has of its own. */
export interface TrainingDefaults {
  /** The default of `--alpha`, in words. */
  readonly alpha: string;
  /** What the schedule runs over, in words. */
  readonly over: string;
  readonly schedule: ScheduleName;
  readonly warmup: number;
  /** Least value of `--max-length`. */
  readonly shortest: number;
}

export const DEFAULT_RANK = 16;
export const DEFAULT_TARGETS: readonly TargetModule[] = ['q_proj', 'k_proj', 'v_proj', 'o_proj'];

const count = integerValue({ min: 1 });
const positive = numberValue({ min: 0, aboveMin: true });

export function addTrainingOptions(command: Command, defaults: TrainingDefaults): Command {
  const { alpha, over, schedule, warmup, shortest } = defaults;
  const targets = `projections to adapt (default: ${DEFAULT_TARGETS.join(',')})`;
  // Without a commander default, so that a command can tell what was asked from what was left out.
  command
    .addOption(new Option('--rank <n>', `rank of the adapter (default: ${DEFAULT_RANK})`).argParser(count))
    .addOption(new Option('--alpha <number>', `scale times rank (default: ${alpha})`).argParser(positive))
    .addOption(new Option('--targets <names>', targets).argParser(listValue(TARGET_MODULES)));
  return addLossOptions(command)
    .option('--learning-rate <number>', 'highest rate (default: by the size of the model)', positive)
    .addOption(new Option('--schedule <name>', `course of the rate over ${over}`).choices(SCHEDULES).default(schedule))
    .option('--warmup <share>', `share of ${over} to warm up`, numberValue({ min: 0, max: 0.99 }), warmup)
    .option('--max-grad-norm <number>', 'longest gradient', positive, 1)
    .option('--weight-decay <number>', 'decoupled weight decay', numberValue({ min: 0 }), 0)
    .option('--batch-size <n>', 'pairs run at once', count, 8)
    .option('--max-length <n>', 'most tokens of prompt and answer', integerValue({ min: shortest }), 1024);
}

type SharedTerms = Pick<
  TrainingTerms,
  | 'loss'
  | 'beta'
  | 'labelSmoothing'
  | 'sftWeight'
  | 'learningRate'
  | 'schedule'
  | 'warmup'
  | 'maxGradNorm'
  | 'weightDecay'
  | 'batchSize'
>;

/**
 * What these options say of a run's terms, with what was left out filled in.
 *
 * @throws USAGE for a setting that the loss would ignore
 */
export function sharedTerms(options: TrainingOptions, config: ModelConfig): SharedTerms {
  const { schedule, warmup, maxGradNorm, weightDecay, batchSize } = options;
  const learningRate = options.learningRate ?? defaultLearningRate(config);
  return { ...lossTerms(options), learningRate, schedule, warmup, maxGradNorm, weightDecay, batchSize };
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
