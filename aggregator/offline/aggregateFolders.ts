/**
 * Combining PEFT adapters on disk exactly as a round would: as integers, by a round's rule, from a parent adapter.
 */
import type { Adapter } from '../../node/training/adapter.ts';
import { readAdapterConfig } from '../../node/training/peftConfig.ts';
import { aggregateRound } from '../../protocol/aggregation/aggregate.ts';
import type { RuleName } from '../../protocol/aggregation/rules.ts';
import { PrefmeshError, isPrefmeshError } from '../../protocol/errors.ts';
import type { ErrorCode } from '../../protocol/errors.ts';
import type { Factor } from '../../protocol/messages.ts';
import { sha256 } from '../../protocol/names.ts';
import type { Sha256 } from '../../protocol/names.ts';
import { checkSameTable, encodeBlob, tableValueCount } from '../../protocol/tensorBlob.ts';
import type { FixedPointTensors } from '../../protocol/tensorBlob.ts';
import { addDelta, dequantize, factorTable, norm, quantize } from '../../protocol/update.ts';
import { readAdapterFolder } from './adapterFolder.ts';
import { weightedMean } from './weightedMean.ts';
import { withRank } from './withRank.ts';

export interface AggregationRequest {
  readonly rule: RuleName;
  /** PEFT folders. */
  readonly adapters: readonly string[];
  /** The adapter that the others were trained from: then their differences from it are combined. */
  readonly base?: string | undefined;
  /** Of the rule; those left out have their defaults. */
  readonly parameters?: Readonly<Record<string, number>> | undefined;
  /** The factor that a round of the rule combines. */
  readonly factor: Factor;
  /** Whole numbers, one for each adapter; only for rules that are means. */
  readonly weights?: readonly number[] | undefined;
  /** Rank of the result, for the rule that factors again; the largest of the inputs if absent. */
  readonly rank?: number | undefined;
  /** Values are integers times 2^-bits. */
  readonly bits: number;
}

export interface AggregationInput {
  readonly adapter: string;
  readonly accepted: boolean;
  /** Why not, when not accepted. */
  readonly reason: ErrorCode | null;
  /** L2 norm of its update, in units of the weights; null where it has none. */
  readonly norm: number | null;
}

export interface AggregatedFolders {
  readonly inputs: readonly AggregationInput[];
  readonly adapter: Adapter;
  /** SHA-256 of the adapter's blob: what a round's receipt would name it by. */
  readonly hash: Sha256;
  /** For the rule that factors again: the share of the mean that did not fit the rank. */
  readonly truncatedEnergy: number | undefined;
}

/**
 * Reads the folders and combines them. An adapter that no round would take is left out and says why.
 *
 * @throws ADAPTER_INVALID, WEIGHTS_INVALID for the first adapter and the base; FACTOR_DIFFERS; NO_UPDATES;
 *   OUT_OF_RANGE
 */
export async function aggregateFolders(request: AggregationRequest): Promise<AggregatedFolders> {
  const { rule, base, factor, bits } = request;
  const rank = rule === 'svd' ? await workingRank(request) : undefined;
  const open = async (folder: string): Promise<Adapter> => {
    const adapter = await readAdapterFolder(folder);
    return rank === undefined ? adapter : withRank(adapter, rank);
  };
  const form = await open(base ?? request.adapters[0]!);
  const zero = base === undefined;
  const parent = quantize(zero ? withoutFactor(form, factor) : form.vector, form.table, bits);
  const inputs: AggregationInput[] = [];
  const updates: { tensors: FixedPointTensors; blob: Sha256; weight: number; input: number }[] = [];
  for (const [index, folder] of request.adapters.entries()) {
    const read = await readUpdate(folder, open, form, { parent, factor, bits, zero });
    if (isPrefmeshError(read)) {
      inputs.push({ adapter: folder, accepted: false, reason: read.code, norm: null });
      continue;
    }
    inputs.push({ adapter: folder, accepted: true, reason: null, norm: norm(read) });
    updates.push({
      tensors: read,
      blob: sha256(encodeBlob(read)),
      weight: request.weights?.[index] ?? 1,
      input: index,
    });
  }
  if (updates.length === 0) throw new PrefmeshError('NO_UPDATES', {});
  updates.sort((a, b) => (a.blob < b.blob ? -1 : 1));
  if (request.weights) return finished(weighted(parent, factor, updates));
  const combined = aggregateRound({
    rule,
    parameters: request.parameters ?? {},
    factor,
    parent,
    blobs: updates.map(({ blob }) => blob),
    updates: updates.map(({ tensors }) => tensors),
  });
  for (const { blob, input } of updates) {
    const reason = combined.leftOut.get(blob);
    if (reason !== undefined) inputs[input] = { ...inputs[input]!, accepted: false, reason };
  }
  return { ...finished(combined.adapter), truncatedEnergy: combined.truncatedEnergy };

  function finished(result: FixedPointTensors): AggregatedFolders {
    const adapter = { ...form, vector: dequantize(result, form.table, form.vector.length) };
    return {
      inputs,
      adapter: rank === undefined ? adapter : withRank(adapter, request.rank ?? rank),
      hash: sha256(encodeBlob(result)),
      truncatedEnergy: undefined,
    };
  }
}

/** The rank that holds all adapters and the result. */
async function workingRank({ adapters, base, rank = 1 }: AggregationRequest): Promise<number> {
  let largest = rank;
  for (const folder of base === undefined ? adapters : [base, ...adapters]) {
    const config = await readAdapterConfig(folder).catch(() => null); // says so itself when it is read as a whole
    largest = Math.max(largest, config?.rank ?? 0);
  }
  return largest;
}

/** The vector with zeros in place of the factor that is combined: what a round without a base starts from. */
function withoutFactor({ vector, table }: Adapter, factor: Factor): Float32Array {
  const parent = vector.slice();
  for (const { factor: own, offset, shape } of table) {
    if (factor === 'both' || own === factor) parent.fill(0, offset, offset + shape[0] * shape[1]);
  }
  return parent;
}

interface UpdateTerms {
  readonly parent: FixedPointTensors;
  readonly factor: Factor;
  readonly bits: number;
  /** Whether the parent's combined factor is zero, so that the update is the adapter itself. */
  readonly zero: boolean;
}

/** What an adapter changes of the parent, or why a round would refuse it. */
async function readUpdate(
  folder: string,
  open: (folder: string) => Promise<Adapter>,
  form: Adapter,
  { parent, factor, bits, zero }: UpdateTerms,
): Promise<FixedPointTensors | PrefmeshError> {
  try {
    const adapter = await open(folder);
    checkSameTable(adapter.table, form.table);
    const whole = quantize(adapter.vector, adapter.table, bits);
    checkOtherFactor(folder, whole, parent, factor);
    const delta = zero ? adapter.vector : adapter.vector.map((value, i) => value - form.vector[i]!);
    const entries = adapter.table.filter((entry) => factor === 'both' || entry.factor === factor);
    return quantize(delta, entries, bits);
  } catch (error) {
    if (isPrefmeshError(error) && error.code !== 'FACTOR_DIFFERS') return error;
    throw error;
  }
}

/** The mean of one factor is the mean of the products only where the other factor is the same for all. */
function checkOtherFactor(folder: string, adapter: FixedPointTensors, parent: FixedPointTensors, factor: Factor): void {
  if (factor === 'both') return;
  const other = new Set(factorTable(parent.table, factor === 'A' ? 'B' : 'A').map(({ name }) => name));
  let at = 0;
  for (const { name, shape } of parent.table) {
    const end = at + shape.reduce((product, side) => product * side, 1);
    if (other.has(name)) {
      for (let i = at; i < end; i++) {
        if (adapter.values[i] !== parent.values[i]) throw new PrefmeshError('FACTOR_DIFFERS', { folder, tensor: name });
      }
    }
    at = end;
  }
}

function weighted(
  parent: FixedPointTensors,
  factor: Factor,
  updates: readonly { readonly tensors: FixedPointTensors; readonly weight: number }[],
): FixedPointTensors {
  const table = factorTable(parent.table, factor);
  const vectors = updates.map(({ tensors }) => tensors.values);
  const values = weightedMean(
    vectors,
    updates.map(({ weight }) => weight),
    tableValueCount(table),
  );
  return addDelta(parent, { bits: parent.bits, table, values });
}
