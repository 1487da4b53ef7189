/**
 * The options every command takes, with their defaults, and the example every help text ends with.
 */
import { resolve } from 'node:path';
import { type Command, Option } from 'commander';
import { DEVICES } from '../engine/device.ts';
import { PRECISIONS } from '../engine/executor.ts';
import { defaultHome } from '../storage/dataFolder.ts';
import { integerValue } from './values.ts';

const DEVICE_NAMES = ['auto', ...DEVICES] as const;
export type DeviceName = (typeof DEVICE_NAMES)[number];

/** What activations are held in, for commands that run the model over pairs. */
export function precisionOption(): Option {
  return new Option('--precision <name>', 'what activations are held in; sums and the adapter are float32 either way')
    .choices(PRECISIONS)
    .default('float32');
}

const LOG_LEVELS = ['silent', 'error', 'warn', 'info', 'debug', 'trace'] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];

export interface CommonOptions {
  /** Absolute path of the folder that holds keys, database, blobs and pulled models. */
  readonly home: string;
  readonly device: DeviceName;
  /** Compute threads; the executor chooses when absent. */
  readonly threads?: number;
  /** Whether stdout carries JSON only. */
  readonly json: boolean;
  readonly logLevel: LogLevel;
  readonly seed: number;
  /** The file that gave some of these values. */
  readonly config?: string;
}

/** Adds the options of `CommonOptions` to a command that does work. */
export function addCommonOptions(command: Command): Command {
  return command
    .addOption(
      new Option('--home <folder>', 'where state is kept ($PREFMESH_HOME)')
        .default(resolve(defaultHome()), "the platform's data folder")
        .argParser((folder) => resolve(folder)),
    )
    .addOption(new Option('--device <name>', 'what computes').choices(DEVICE_NAMES).default('auto'))
    .addOption(new Option('--threads <n>', 'compute threads').argParser(integerValue({ min: 1, max: 1024 })))
    .addOption(new Option('--json', 'print JSON on stdout and nothing else there').default(false))
    .addOption(new Option('--log-level <level>', 'how much to log on stderr').choices(LOG_LEVELS).default('warn'))
    .addOption(
      new Option('--seed <n>', 'seed of everything random')
        .argParser(integerValue({ min: 0, max: 2 ** 32 - 1 }))
        .default(0),
    )
    .addOption(new Option('--config <file>', 'JSON file of options, named like the flags'));
}

/** Ends a command's help text with one or more examples, each a line that can be pasted into a shell. */
export function addExample(command: Command, ...lines: string[]): Command {
  const shown = lines.map((line) => `  ${line}`).join('\n');
  return command.addHelpText('after', `\nExample:\n${shown}`);
}
