/** The machine that a measurement was made on, without which it says nothing. */
import { readFileSync } from 'node:fs';
import { availableParallelism, cpus, loadavg, totalmem } from 'node:os';
import { join } from 'node:path';
import { packageFolder } from '../../node/commands/program.ts';

export interface Machine {
  readonly processor: string;
  readonly cores: number;
  readonly memoryGiB: number;
  readonly system: string;
  readonly node: string;
  readonly onnxruntime: string;
  /** Processes that wanted a core in the last minute, on average: above 0.5 at the start, others were at work. */
  readonly load: number;
}

export function describeMachine(): Machine {
  const runtime = join(packageFolder(), 'node_modules', 'onnxruntime-node', 'package.json');
  return {
    processor: cpus()[0]?.model.trim() ?? 'unknown',
    cores: availableParallelism(),
    memoryGiB: Math.round(totalmem() / 2 ** 30),
    system: `${process.platform} ${process.arch}`,
    node: process.version,
    onnxruntime: (JSON.parse(readFileSync(runtime, 'utf8')) as { version: string }).version,
    load: Math.round(10 * loadavg()[0]!) / 10,
  };
}
