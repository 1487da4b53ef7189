/**
 * A round's result: the adapter that its updates make of its parent, and what the server optimiser, where there is one,
 * remembers. Anyone with the blobs gets the same bytes.
 */
import { PrefmeshError } from '../errors.ts';
import type { ErrorCode } from '../errors.ts';
import { LIMITS } from '../limits.ts';
import type { Factor } from '../messages.ts';
import { sha256 } from '../names.ts';
import type { Sha256 } from '../names.ts';
import { checkSameScale, checkSameTable, encodeBlob, tableValueCount } from '../tensorBlob.ts';
import type { FixedPointTensors } from '../tensorBlob.ts';
import { initialOptimizerState, optimize } from '../serverOptimizer/optimizerState.ts';
import type { ServerOptimizerTerms } from '../serverOptimizer/serverOptimizers.ts';
import { addDelta, factorTable } from '../update.ts';
import { resolveParameters, ruleByName } from './rules.ts';
import type { RuleName } from './rules.ts';

export interface RoundToAggregate {
  readonly rule: RuleName;
  readonly parameters: Readonly<Record<string, number>>;
  readonly factor: Factor;
  /** The whole adapter before the round. */
  readonly parent: FixedPointTensors;
  /** The hashes of the accepted updates' blobs, ascending. */
  readonly blobs: readonly Sha256[];
  /** The updates in that order. May decode each when it is asked for, and is asked for more than one pass. */
  readonly updates: Iterable<FixedPointTensors>;
  /** Absent or null: what the rule gives is applied as it is. */
  readonly serverOptimizer?: ServerOptimizerTerms | null;
  /** What the optimiser remembered before the round; null before the first. */
  readonly optimizerState?: FixedPointTensors | null;
}

/** Updates at hand, as `aggregateRound` takes them. */
export function inOrderOfHash(updates: readonly FixedPointTensors[]): Pick<RoundToAggregate, 'blobs' | 'updates'> {
  const named = updates.map((update) => ({ update, blob: sha256(encodeBlob(update)) }));
  named.sort((a, b) => (a.blob < b.blob ? -1 : 1));
  return { blobs: named.map(({ blob }) => blob), updates: named.map(({ update }) => update) };
}

export interface AggregatedAdapter {
  readonly adapter: FixedPointTensors;
  /** The adapter's blob, and its name. */
  readonly blob: Uint8Array;
  readonly hash: Sha256;
  /** What the optimiser remembers after the round, as a blob; null without one. */
  readonly optimizerState: { readonly blob: Uint8Array; readonly hash: Sha256 } | null;
  /** Accepted updates that the rule gave no say, by their blobs, and why. */
  readonly leftOut: ReadonlyMap<Sha256, ErrorCode>;
  /** For rules that factor again: the share of the mean, in squared singular values, that did not fit the rank. */
  readonly truncatedEnergy: number | undefined;
}

/** Throws NO_UPDATES, TOO_FEW_UPDATES, TOO_MANY_UPDATES, WRONG_TENSOR_TABLE, OUT_OF_RANGE. */
export function aggregateRound({
  rule,
  factor,
  parent,
  blobs,
  updates,
  serverOptimizer = null,
  optimizerState = null,
  ...round
}: RoundToAggregate): AggregatedAdapter {
  const parameters = resolveParameters(rule, round.parameters);
  const { aggregate, fewest } = ruleByName(rule);
  checkCount(blobs.length, rule, fewest(parameters));
  const table = factorTable(parent.table, factor);
  const checked: Iterable<Int32Array> = {
    *[Symbol.iterator]() {
      for (const update of updates) {
        checkSameTable(update.table, table);
        checkSameScale(update.bits, parent.bits);
        yield update.values;
      }
    },
  };
  const {
    values,
    leftOut = new Map<number, ErrorCode>(),
    truncatedEnergy,
  } = aggregate({
    updates: checked,
    count: blobs.length,
    length: tableValueCount(table),
    table,
    parent,
    factor,
    seed: sha256(Buffer.from(blobs.join())),
    parameters,
  });
  const optimized =
    serverOptimizer &&
    optimize(serverOptimizer, {
      parent,
      factor,
      state: optimizerState ?? initialOptimizerState(serverOptimizer, parent),
      update: values,
    });
  const adapter = addDelta(parent, { bits: parent.bits, table, values: optimized?.values ?? values });
  const blob = encodeBlob(adapter);
  return {
    adapter,
    blob,
    hash: sha256(blob),
    optimizerState: optimized && namedBlob(optimized.state),
    leftOut: named(leftOut, blobs),
    truncatedEnergy,
  };
}

function namedBlob(tensors: FixedPointTensors): { blob: Uint8Array; hash: Sha256 } {
  const blob = encodeBlob(tensors);
  return { blob, hash: sha256(blob) };
}

function named(places: ReadonlyMap<number, ErrorCode>, blobs: readonly Sha256[]): Map<Sha256, ErrorCode> {
  return new Map([...places].map(([place, code]) => [blobs[place]!, code]));
}

function checkCount(count: number, rule: RuleName, fewest: number): void {
  if (count === 0) throw new PrefmeshError('NO_UPDATES', {});
  if (count < fewest) throw new PrefmeshError('TOO_FEW_UPDATES', { rule, count, fewest });
  const limit = LIMITS.participants.value;
  if (count > limit) throw new PrefmeshError('TOO_MANY_UPDATES', { limit });
}
