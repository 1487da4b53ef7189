/** A round's result: the adapter that its updates make of its parent. Anyone with the blobs gets the same bytes. */
import type { Factor } from '../messages.ts';
import { sha256 } from '../names.ts';
import type { Sha256 } from '../names.ts';
import { checkSameScale, checkSameTable, encodeBlob, tableValueCount } from '../tensorBlob.ts';
import type { FixedPointTensors } from '../tensorBlob.ts';
import { addDelta, factorTable } from '../update.ts';
import { resolveParameters, ruleByName } from './rules.ts';
import type { RuleName } from './rules.ts';

export interface RoundToAggregate {
  readonly rule: RuleName;
  readonly parameters: Readonly<Record<string, number>>;
  readonly factor: Factor;
  /** The whole adapter before the round. */
  readonly parent: FixedPointTensors;
  /**
   * The accepted updates in ascending order of their blobs' hashes. May decode each when it is asked for, and may be
   * asked for more than one pass.
   */
  readonly updates: Iterable<FixedPointTensors>;
}

export interface AggregatedAdapter {
  readonly adapter: FixedPointTensors;
  /** The adapter's blob, and its name. */
  readonly blob: Uint8Array;
  readonly hash: Sha256;
}

/** Throws NO_UPDATES, TOO_MANY_UPDATES, WRONG_TENSOR_TABLE, OUT_OF_RANGE. */
export function aggregateRound({ rule, parameters, factor, parent, updates }: RoundToAggregate): AggregatedAdapter {
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
  const values = ruleByName(rule).aggregate({
    updates: checked,
    length: tableValueCount(table),
    parent,
    factor,
    parameters: resolveParameters(rule, parameters),
  });
  const adapter = addDelta(parent, { bits: parent.bits, table, values });
  const blob = encodeBlob(adapter);
  return { adapter, blob, hash: sha256(blob) };
}
