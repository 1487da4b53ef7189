/**
 * One measurement of the aggregation benchmark, in a process of its own so that its peak memory is its own.
 *
 *   node contender.ts WHAT FOLDER [COUNT] [LAYERS]
 *
 * WHAT: `mean-files` and `mean-memory` (the exact mean, reading included or over arrays that are there), `verify` (a
 * receipt with everything behind it), or a rule's name (from the files to the new adapter). Prints one line of JSON.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { verifyHere } from '../../../node/participant/roundVerification.ts';
import { aggregateRound } from '../../../protocol/aggregation/aggregate.ts';
import { exactMean } from '../../../protocol/aggregation/exactMean.ts';
import type { RuleName } from '../../../protocol/aggregation/rules.ts';
import type { Sha256 } from '../../../protocol/names.ts';
import { decodeBlob, tableValueCount, type FixedPointTensors } from '../../../protocol/tensorBlob.ts';
import { factorTable } from '../../../protocol/update.ts';
import { BITS, signedRound, tableOf } from './workload.ts';

export interface Measured {
  readonly seconds: number;
  readonly peakMiB: number;
  /** The sum of all values that the updates become, by which contenders are compared; of `verify`, what was checked. */
  readonly result: string;
  /** The new adapter, of a rule. */
  readonly candidate?: Sha256;
}

const [what, folder, count, layers] = process.argv.slice(2) as [string, string, string, string];
const workload = JSON.parse(readFileSync(join(folder, 'workload.json'), 'utf8')) as {
  parent: Sha256;
  updates: Sha256[];
};
const names = workload.updates.slice(0, Number(count));
const read = (hash: Sha256): FixedPointTensors => decodeBlob(readFileSync(join(folder, hash)));
const updates: Iterable<FixedPointTensors> = {
  *[Symbol.iterator]() {
    for (const name of names) yield read(name);
  },
};

function* valuesOf(tensors: Iterable<FixedPointTensors>): Generator<Int32Array> {
  for (const { values } of tensors) yield values;
}

function measure(): Omit<Measured, 'peakMiB'> {
  const length = tableValueCount(factorTable(tableOf(Number(layers)), 'B'));
  if (what === 'mean-memory') {
    const inMemory = Array.from(valuesOf(updates));
    exactMean(inMemory.slice(0, 8), length); // so that compiling is not measured: NumPy is compiled
    return timed(() => String(sumOf(exactMean(inMemory, length))));
  }
  if (what === 'mean-files') return timed(() => String(sumOf(exactMean(valuesOf(updates), length))));
  const parent = read(workload.parent);
  if (what !== 'verify') {
    const rule = what as RuleName;
    const { seconds, result } = timed(() =>
      aggregateRound({ rule, parameters: {}, factor: 'B', parent, blobs: names, updates }),
    );
    const { adapter, hash } = result;
    return { seconds, result: String(sumOf(adapter.values) - sumOf(parent.values)), candidate: hash };
  }
  const candidate = readFileSync(join(folder, 'candidate'), 'utf8') as Sha256;
  const papers = signedRound({ folder, updateBytes: 0, ...workload, updates: names }, Number(layers), candidate);
  return timed(() => {
    const { failures, checked } = verifyHere({
      receipt: papers.receipt,
      manifest: papers.federation.bytes,
      previous: null,
      own: null,
      blobs: folder,
      envelopes: papers.envelopes,
    });
    if (failures.length > 0) throw failures[0]!;
    return `${checked.signatures} signatures, ${checked.hashes} hashes, ${checked.aggregates} aggregate at ${BITS} bits`;
  });
}

function timed<Result>(run: () => Result): { seconds: number; result: Result } {
  const started = performance.now();
  const result = run();
  return { seconds: (performance.now() - started) / 1000, result };
}

function sumOf(values: Int32Array): number {
  return values.reduce((sum, value) => sum + value, 0);
}

const measured = measure();
process.stdout.write(
  JSON.stringify({ ...measured, peakMiB: process.resourceUsage().maxRSS / 1024 } satisfies Measured),
);
