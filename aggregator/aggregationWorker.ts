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
import type { FixedPointTensors } from '../protocol/tensorBlob.ts';

export interface AggregationTask {
  readonly rule: RuleName;
  readonly parameters: Readonly<Record<string, number>>;
  readonly factor: Factor;
  /** The parent adapter's blob. */
  readonly parent: Uint8Array;
  /** The hashes of the updates' blobs, ascending, and their files. */
  readonly blobs: readonly Sha256[];
  readonly updates: readonly string[];
}

export type AggregationReply =
  | { readonly ok: true; readonly blob: Uint8Array }
  | { readonly ok: false; readonly outOfRange: { tensor: string; bits: number } | null; readonly problem: string };

function aggregate({ parent, updates, ...task }: AggregationTask): AggregationReply {
  const read: Iterable<FixedPointTensors> = {
    *[Symbol.iterator]() {
      for (const file of updates) yield decodeBlob(readFileSync(file));
    },
  };
  try {
    const { blob } = aggregateRound({ ...task, parent: decodeBlob(parent), updates: read });
    return { ok: true, blob };
  } catch (error) {
    const problem = error instanceof Error ? error.message : String(error);
    if (!isPrefmeshError(error, 'OUT_OF_RANGE')) return { ok: false, outOfRange: null, problem };
    const { tensor, bits } = error.details;
    return { ok: false, outOfRange: { tensor: String(tensor), bits: Number(bits) }, problem };
  }
}

// Importing the types of this file from another thread runs nothing.
if (parentPort !== null) parentPort.postMessage(aggregate(workerData as AggregationTask));
