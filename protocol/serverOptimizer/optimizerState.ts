/**
 * What a server optimiser remembers, as a blob beside the adapter: every tensor of the adapter once for each memory,
 * named after both. A round changes the values of the factor that it trains; the other factor's wait for their turn.
 *
 * The state is named in every receipt by its hash, so that one round can be repeated without those before it.
 */
import {
  LARGEST_VALUE,
  checkSameScale,
  checkSameTable,
  checkTable,
  tableValueCount,
  valueCount,
} from '../tensorBlob.ts';
import type { FixedPointTensors, TensorShape } from '../tensorBlob.ts';
import { PrefmeshError } from '../errors.ts';
import { factorTable } from '../update.ts';
import type { Factor } from '../messages.ts';
import { resolveOptimizerParameters, serverOptimizerByName } from './serverOptimizers.ts';
import type { ServerOptimizerTerms } from './serverOptimizers.ts';

/** The tensors of an optimiser's state for an adapter of these tensors. Throws MALFORMED_BLOB where no blob holds them. */
export function stateTable({ name }: ServerOptimizerTerms, table: readonly TensorShape[]): TensorShape[] {
  const tensors = serverOptimizerByName(name).memories.flatMap((memory) =>
    table.map((tensor) => ({ name: `${memory.name}.${tensor.name}`, shape: tensor.shape })),
  );
  checkTable(tensors);
  return tensors;
}

/** The state before the first round. */
export function initialOptimizerState(
  terms: ServerOptimizerTerms,
  { table, bits }: Pick<FixedPointTensors, 'table' | 'bits'>,
): FixedPointTensors {
  const parameters = resolveOptimizerParameters(terms);
  const size = tableValueCount(table);
  const { memories } = serverOptimizerByName(terms.name);
  const values = new Int32Array(memories.length * size);
  for (const [n, { initial }] of memories.entries()) values.fill(initial(parameters, bits), n * size, (n + 1) * size);
  return { bits, table: stateTable(terms, table), values };
}

export interface OptimizedUpdate {
  /** What is added to the parent in place of `update`. */
  readonly values: Int32Array;
  readonly state: FixedPointTensors;
}

/**
 * Applies the optimiser to what the rule made of a round's updates.
 *
 * @param parent the whole adapter that the round starts from
 * @param state what was remembered before the round
 * @param update values of the round's factor
 * @throws WRONG_TENSOR_TABLE when the state is another adapter's or optimiser's; OUT_OF_RANGE
 */
export function optimize(
  terms: ServerOptimizerTerms,
  {
    parent,
    factor,
    state,
    update,
  }: { parent: FixedPointTensors; factor: Factor; state: FixedPointTensors; update: Int32Array },
): OptimizedUpdate {
  checkSameScale(state.bits, parent.bits);
  checkSameTable(state.table, stateTable(terms, parent.table));
  const { memories, step } = serverOptimizerByName(terms.name);
  const size = tableValueCount(parent.table);
  const memoriesBefore = memories.map((_, n) =>
    ofFactor(state.values.subarray(n * size, (n + 1) * size), parent, factor),
  );
  const parameters = resolveOptimizerParameters(terms);
  const stepped = step({ update, memories: memoriesBefore, parameters, bits: parent.bits });
  const values = state.values.slice();
  const table = factorTable(parent.table, factor);
  for (const [n, memory] of stepped.memories.entries()) {
    put(wholeWithin(memory, table, parent.bits), values.subarray(n * size, (n + 1) * size), parent, factor);
  }
  return {
    values: wholeWithin(stepped.update, table, parent.bits),
    state: { bits: state.bits, table: state.table, values },
  };
}

/** The ranges of the adapter's values that the factor has, with where they lie in an update. */
function* ranges({ table }: FixedPointTensors, factor: Factor): Generator<{ at: number; from: number; count: number }> {
  const sent = new Set(factorTable(table, factor).map(({ name }) => name));
  let [at, from] = [0, 0];
  for (const tensor of table) {
    const count = valueCount(tensor);
    if (sent.has(tensor.name)) {
      yield { at, from, count };
      from += count;
    }
    at += count;
  }
}

function ofFactor(values: Int32Array, adapter: FixedPointTensors, factor: Factor): Int32Array {
  const found = new Int32Array(tableValueCount(factorTable(adapter.table, factor)));
  for (const { at, from, count } of ranges(adapter, factor)) found.set(values.subarray(at, at + count), from);
  return found;
}

function put(part: Int32Array, values: Int32Array, adapter: FixedPointTensors, factor: Factor): void {
  for (const { at, from, count } of ranges(adapter, factor)) values.set(part.subarray(from, from + count), at);
}

function wholeWithin(values: Float64Array, table: readonly TensorShape[], bits: number): Int32Array {
  const out = values.findIndex((value) => Math.abs(value) > LARGEST_VALUE);
  if (out === -1) return Int32Array.from(values);
  let end = 0;
  const { name } = table.find((tensor) => (end += valueCount(tensor)) > out)!;
  throw new PrefmeshError('OUT_OF_RANGE', { tensor: name, bits });
}
