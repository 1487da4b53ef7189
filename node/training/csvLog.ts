/**
 * Metrics as a table: one row a line, a column for each figure of a step and of an evaluation, empty where a line has
 * none.
 */
import { AppendedFile } from '../storage/appendedFile.ts';
import { endOfLines, type MetricLine, type MetricSink } from './trainingLog.ts';

type Column = MetricLine extends infer Line ? (Line extends MetricLine ? keyof Line : never) : never;

/** Every figure, in the order of the columns; the compiler asks for those that are missing. */
const COLUMNS: Readonly<Record<Column, true>> = {
  step: true,
  epoch: true,
  loss: true,
  sft_loss: true,
  grad_norm: true,
  learning_rate: true,
  'rewards/chosen': true,
  'rewards/rejected': true,
  'rewards/accuracies': true,
  'rewards/ties': true,
  'rewards/margins': true,
  'logps/chosen': true,
  'logps/rejected': true,
  num_tokens: true,
  step_time: true,
  tokens_per_second: true,
  padding: true,
  eval_loss: true,
  'eval_rewards/chosen': true,
  'eval_rewards/rejected': true,
  'eval_rewards/accuracies': true,
  'eval_rewards/ties': true,
  'eval_rewards/margins': true,
  'eval_logps/chosen': true,
  'eval_logps/rejected': true,
  eval_runtime: true,
  eval_samples_per_second: true,
};
const NAMES = Object.keys(COLUMNS) as Column[];
const HEADER = NAMES.join(',');

/** Opens the table of a run that stands after `step`; rows of later steps, and a torn one, are cut off. */
export async function openCsvLog(file: string, step: number | null): Promise<MetricSink> {
  let kept = 0;
  const log = await AppendedFile.open(file, (content) => {
    if (step !== null) kept = endOfLines(content, (row) => row === HEADER || Number.parseInt(row, 10) <= step);
    return kept;
  });
  if (kept === 0) await log.append(Buffer.from(`${HEADER}\n`));
  return {
    write: (line) => log.append(Buffer.from(`${rowOf(line)}\n`)),
    sync: () => log.sync(),
    [Symbol.asyncDispose]: () => log[Symbol.asyncDispose](),
  };
}

function rowOf(line: MetricLine): string {
  const values = line as Partial<Record<Column, number>>;
  return NAMES.map((name) => values[name] ?? '').join(',');
}
