/**
 * The thread that sums a large round. Updates are read from their files one at a time, as the rule asks for them, so
 * memory does not grow with their number.
 */
import { readFileSync } from 'node:fs';
import { parentPort, workerData } from 'node:worker_threads';
import { aggregateRound } from '../protocol/aggregation/aggregate.ts';
import type { RuleName } from '../protocol/aggregation/rules.ts';
import { isPrefmeshError } from '../protocol/errors.ts';
import type { Factor } from '../protocol/messages.ts';
import type { Sha256 } from '../protocol/names.ts';
import { decodeBlob } from '../protocol/tensorBlob.ts';
import type { ServerOptimizerTerms } from '../protocol/serverOptimizer/serverOptimizers.ts';
import type { FixedPointTensors } from '../protocol/tensorBlob.ts';

export interface AggregationTask {
  readonly rule: RuleName;
  readonly parameters: Readonly<Record<string, number>>;
  readonly factor: Factor;
  readonly serverOptimizer: ServerOptimizerTerms | null;
  /** The parent adapter's blob, and that of what the optimiser remembers. */
  readonly parent: Uint8Array;
  readonly optimizerState: Uint8Array | null;
  /** The hashes of the updates' blobs, ascending, and their files. */
  readonly blobs: readonly Sha256[];
  readonly updates: readonly string[];
}

/** The blobs that a round gives. */
export interface MadeBlobs {
  readonly adapter: Uint8Array;
  readonly optimizerState: Uint8Array | null;
}

export type AggregationReply =
  | { readonly ok: true; readonly made: MadeBlobs }
  | { readonly ok: false; readonly outOfRange: { tensor: string; bits: number } | null; readonly problem: string };

/** Does the task with these updates. Throws what `aggregateRound` throws. */
export function madeOf(task: AggregationTask, updates: Iterable<FixedPointTensors>): MadeBlobs {
  const { blob, optimizerState } = aggregateRound({
    ...task,
    parent: decodeBlob(task.parent),
    optimizerState: task.optimizerState && decodeBlob(task.optimizerState),
    updates,
  });
  return { adapter: blob, optimizerState: optimizerState && optimizerState.blob };
}

function aggregate(task: AggregationTask): AggregationReply {
  const read: Iterable<FixedPointTensors> = {
    *[Symbol.iterator]() {
      for (const file of task.updates) yield decodeBlob(readFileSync(file));
    },
  };
  try {
    return { ok: true, made: madeOf(task, read) };
  } catch (error) {
    const problem = error instanceof Error ? error.message : String(error);
    if (!isPrefmeshError(error, 'OUT_OF_RANGE')) return { ok: false, outOfRange: null, problem };
    const { tensor, bits } = error.details;
    return { ok: false, outOfRange: { tensor: String(tensor), bits: Number(bits) }, problem };
  }
}

// Where this file is imported by another thread, there is no task.
if (parentPort !== null && (workerData as Partial<AggregationTask> | null)?.updates !== undefined) {
  parentPort.postMessage(aggregate(workerData as AggregationTask));
}
