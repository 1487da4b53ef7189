/**
 * Which judge a command asks, from its options.
 */
import { type Command, Option } from 'commander';
import { PrefmeshError } from '../../protocol/errors.ts';
import type { Judge } from '../evaluation/judges/judge.ts';
import { OpenAiJudge } from '../evaluation/judges/openai.ts';
import { StyleJudge } from '../evaluation/judges/style.ts';
import { TASTES, type Taste } from '../preferences/tastes/taste.ts';
import { listValue } from './values.ts';

export interface JudgeOptions {
  readonly judge?: 'style' | 'openai';
  readonly tastes: readonly Taste[];
  readonly judgeUrl?: string;
  readonly judgeModel?: string;
  readonly judgeKeyEnv: string;
  /** The file of prompts that may leave this machine. */
  readonly prompts?: string;
}

/** Adds the options of `JudgeOptions`, but for `--prompts`. */
export function addJudgeOptions(command: Command): Command {
  return command
    .addOption(new Option('--judge <name>', 'who compares the answers').choices(['style', 'openai']))
    .option('--tastes <names>', 'what the style judge looks for', listValue(TASTES), [...TASTES])
    .option('--judge-url <url>', 'the openai judge: base URL of the endpoint ($OPENAI_BASE_URL)')
    .option('--judge-model <name>', 'the openai judge: model to ask')
    .option('--judge-key-env <name>', 'the openai judge: environment variable that holds the key', 'OPENAI_API_KEY');
}

/**
 * The judge, or null where none is asked for.
 *
 * @throws USAGE when the openai judge lacks its endpoint, its model, or a file of prompts that may leave
 */
export function chooseJudge(options: JudgeOptions): Judge | null {
  if (options.judge === undefined) return null;
  switch (options.judge) {
    case 'style':
      return new StyleJudge(options.tastes);
    case 'openai':
      return openAiJudge(options);
  }
}

function openAiJudge({ judgeUrl, judgeModel, judgeKeyEnv, prompts }: JudgeOptions): Judge {
  const baseUrl = judgeUrl ?? process.env.OPENAI_BASE_URL;
  const missing = (problem: string, hint: string) => new PrefmeshError('USAGE', { problem, hint });
  if (prompts === undefined) {
    // The prompts of a pairs file may be private; those that leave the machine are named on their own.
    throw missing(
      '--judge openai sends prompts and answers to an endpoint, and --prompts does not say which',
      'pass --prompts with a file of prompts that may leave this machine',
    );
  }
  if (baseUrl === undefined || !URL.canParse(baseUrl)) {
    throw missing('--judge openai has no endpoint', 'pass --judge-url http://127.0.0.1:8000/v1 or set OPENAI_BASE_URL');
  }
  if (judgeModel === undefined) throw missing('--judge openai has no model', 'pass --judge-model');
  const key = process.env[judgeKeyEnv];
  return new OpenAiJudge({ baseUrl, model: judgeModel, ...(key ? { key } : {}) });
}
