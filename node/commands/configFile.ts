/**
 * `--config FILE`: a JSON object whose keys are the names of a command's flags without the dashes.
 *
 * The file's values become flags before the command line is parsed, so that both are checked by the same rules.
 * A flag given on the command line wins over the file. The record of a training run counts as a file of its options.
 */
import { readFileSync } from 'node:fs';
import type { Command, Option } from 'commander';
import { z } from 'zod';
import { PrefmeshError } from '../../protocol/errors.ts';
import { RUN_RECORD_FORMAT } from '../training/runRecord.ts';

const scalar = z.union([z.string(), z.number(), z.boolean()]);
const configSchema = z.record(z.string(), z.union([scalar, z.array(scalar)]));

const runRecordSchema = z.object({ format: z.literal(RUN_RECORD_FORMAT), options: configSchema });

const NOT_IN_A_FILE = new Set(['config', 'help', 'version']);

/**
 * The arguments with those of the configuration file put in after the command's name.
 *
 * @throws CONFIG_FILE when the file cannot be read or is not an object of plain values
 * @throws CONFIG_KEY when a key is no option of the command
 */
export function expandConfigFile(root: Command, args: readonly string[]): string[] {
  const { command, depth } = findCommand(root, args);
  const given = namedFlags(args.slice(depth));
  const file = given.get('config');
  if (file === undefined || command.options.every((option) => option.name() !== 'config')) return [...args];

  const fromFile: string[] = [];
  for (const [key, value] of Object.entries(readConfig(file))) {
    const option = command.options.find((candidate) => candidate.long === `--${key}`);
    if (option === undefined || NOT_IN_A_FILE.has(key)) {
      const allowed = command.options.map((candidate) => candidate.name()).filter((name) => !NOT_IN_A_FILE.has(name));
      throw new PrefmeshError('CONFIG_KEY', { file, key, command: command.name(), allowed: allowed.join(', ') });
    }
    if (given.has(key)) continue;
    fromFile.push(...asFlags(option, key, value, file));
  }
  return [...args.slice(0, depth), ...fromFile, ...args.slice(depth)];
}

/** The command that the leading words of `args` name, and how many words that took. */
function findCommand(root: Command, args: readonly string[]): { command: Command; depth: number } {
  let command = root;
  let depth = 0;
  for (; depth < args.length; depth++) {
    const next = command.commands.find((candidate) => candidate.name() === args[depth]);
    if (next === undefined) break;
    command = next;
  }
  return { command, depth };
}

/** Flag names without dashes, each with the text that follows it (empty when nothing does). */
function namedFlags(args: readonly string[]): Map<string, string> {
  const flags = new Map<string, string>();
  for (const [index, word] of args.entries()) {
    if (word === '--') break;
    const match = /^--([^=]+)(?:=(.*))?$/s.exec(word);
    if (match?.[1] !== undefined) flags.set(match[1], match[2] ?? args[index + 1] ?? '');
  }
  return flags;
}

function readConfig(file: string): z.infer<typeof configSchema> {
  let value: unknown;
  try {
    value = JSON.parse(readFileSync(file, 'utf8'));
  } catch (cause) {
    const problem =
      cause instanceof SyntaxError ? 'it is not JSON' : cause instanceof Error ? cause.message : 'unreadable';
    throw new PrefmeshError('CONFIG_FILE', { file, problem }, { cause });
  }
  const record = runRecordSchema.safeParse(value);
  if (record.success) return record.data.options;
  const parsed = configSchema.safeParse(value);
  if (parsed.success) return parsed.data;
  const where = parsed.error.issues[0]?.path.join('.') ?? '';
  const problem =
    where === '' ? 'it is not an object' : `the value of ${where} is not a string, number, boolean or list of these`;
  throw new PrefmeshError('CONFIG_FILE', { file, problem });
}

function asFlags(option: Option, key: string, value: z.infer<typeof configSchema>[string], file: string): string[] {
  if (option.optional && typeof value === 'boolean') return value ? [`--${key}`] : [];
  const takesValue = option.required || option.optional;
  if (takesValue) return (Array.isArray(value) ? value : [value]).flatMap((item) => [`--${key}=${item}`]);
  if (typeof value !== 'boolean') {
    throw new PrefmeshError('CONFIG_FILE', { file, problem: `the value of ${key} must be true or false` });
  }
  return value ? [`--${key}`] : [];
}
