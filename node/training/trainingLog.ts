/**
 * What a run reports, kept beside its adapter: one JSON object a line, as `--json` prints them. The counts of pairs,
 * which stdout has with the first step, are in `training_config.json` instead.
 *
 * A resumed run tells again what came after the state it goes on from, so the log is first cut back to that step:
 * however often a run was killed, its log has every step once, in order.
 */
import { readFile } from 'node:fs/promises';
import { AppendedFile } from '../storage/appendedFile.ts';
import { naming } from '../storage/atomicFile.ts';
import type { EvaluationMetrics } from './evaluationLoss.ts';
import type { StepMetrics } from './metrics.ts';

/** An evaluation as it is reported, with the epoch that it falls into. */
export type EvaluationLine = EvaluationMetrics & Pick<StepMetrics, 'epoch'>;

export type MetricLine = StepMetrics | EvaluationLine;

/** Where the metrics of a run go. Lines arrive in the order of their steps. */
export interface MetricSink extends AsyncDisposable {
  write(line: MetricLine): Promise<void>;
  /** Makes what was written so far durable. */
  sync(): Promise<void>;
}

export const TRAINING_LOG = 'training_log.jsonl';

const NEWLINE = 0x0a;

/** Opens the log of a run that stands after `step`; lines of later steps, and a torn one, are cut off. */
export async function openTrainingLog(file: string, step: number | null): Promise<MetricSink> {
  const log = await AppendedFile.open(file, (content) => (step === null ? 0 : endOfLines(content, upTo(step))));
  return {
    write: (line) => log.append(Buffer.from(`${JSON.stringify(line)}\n`)),
    sync: () => log.sync(),
    [Symbol.asyncDispose]: () => log[Symbol.asyncDispose](),
  };
}

/** The lines of a log that was written to its end. */
export async function readTrainingLog(file: string): Promise<MetricLine[]> {
  const text = await naming(file, () => readFile(file, 'utf8'));
  return text
    .split('\n')
    .slice(0, -1)
    .map((line) => JSON.parse(line) as MetricLine);
}

/** Offset of the first line, ended by a line feed, that is not `kept`; of the end where all are. */
export function endOfLines(content: Buffer, kept: (line: string) => boolean): number {
  let start = 0;
  for (let end = content.indexOf(NEWLINE); end !== -1; end = content.indexOf(NEWLINE, start)) {
    if (!kept(content.toString('utf8', start, end))) return start;
    start = end + 1;
  }
  return start;
}

function upTo(last: number): (line: string) => boolean {
  return (line) => {
    try {
      const { step } = JSON.parse(line) as { step?: unknown };
      return typeof step === 'number' && step <= last;
    } catch {
      return false; // damaged: what follows it cannot be trusted to be in its place
    }
  };
}
