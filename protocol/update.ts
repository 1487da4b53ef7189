/**
 * From trained floats to the integers that travel, and back.
 *
 * A value v is sent as the integer nearest to v·2^bits. Integers add up exactly and in any order, so a round's sum is
 * the same for everyone who recomputes it. `tensorBlob.ts` has their form as bytes.
 */
import { PrefmeshError } from './errors.ts';
import type { Factor } from './messages.ts';
import {
  checkSameScale,
  checkSameTable,
  checkTable,
  LARGEST_VALUE,
  tableValueCount,
  valueCount,
} from './tensorBlob.ts';
import type { FixedPointTensors, TensorShape } from './tensorBlob.ts';

/** Where a tensor's values lie in a flat vector of floats, in whatever order training keeps them. */
export interface VectorEntry extends TensorShape {
  readonly offset: number;
}

/**
 * The nearest integers, half away from zero, of the entries' values in a flat vector; entries may be a subset (one
 * factor of a difference, say) in any order.
 * Throws NOT_FINITE, OUT_OF_RANGE naming the tensor; MALFORMED_BLOB for a table that no blob may have.
 */
export function quantize(vector: Float32Array, entries: readonly VectorEntry[], bits: number): FixedPointTensors {
  const ordered = entries.toSorted((a, b) => (a.name < b.name ? -1 : 1));
  const table = ordered.map(({ name, shape }) => ({ name, shape: [...shape] }));
  checkTable(table);
  const values = new Int32Array(tableValueCount(table));
  const scale = 2 ** bits;
  let at = 0;
  for (const entry of ordered) {
    const end = entry.offset + valueCount(entry);
    for (let i = entry.offset; i < end; i++) {
      const value = vector[i];
      if (value === undefined || !Number.isFinite(value)) throw new PrefmeshError('NOT_FINITE', { tensor: entry.name });
      const magnitude = Math.floor(Math.abs(value) * scale + 0.5);
      if (magnitude > LARGEST_VALUE) throw new PrefmeshError('OUT_OF_RANGE', { tensor: entry.name, bits });
      values[at++] = value < 0 ? -magnitude : magnitude;
    }
  }
  return { bits, table, values };
}

/**
 * The floats that the integers stand for, at the entries' places of a flat vector of `length`; zero elsewhere.
 * Throws WRONG_TENSOR_TABLE when entries and tensors differ in name or shape.
 */
export function dequantize(tensors: FixedPointTensors, entries: readonly VectorEntry[], length: number): Float32Array {
  const ordered = entries.toSorted((a, b) => (a.name < b.name ? -1 : 1));
  checkSameTable(tensors.table, ordered);
  const vector = new Float32Array(length);
  const scale = 2 ** -tensors.bits;
  let at = 0;
  for (const entry of ordered) {
    const end = entry.offset + valueCount(entry);
    for (let i = entry.offset; i < end; i++) vector[i] = tensors.values[at++]! * scale;
  }
  return vector;
}

/** L2 norm in units of the weights, summed in float64 in the order of the values: the same on every machine. */
export function norm({ values, bits }: FixedPointTensors): number {
  let squares = 0;
  for (let i = 0; i < values.length; i++) squares += values[i]! * values[i]!;
  return Math.sqrt(squares) * 2 ** -bits;
}

/** Which factor of a LoRA pair a tensor is, by its PEFT name. Throws WRONG_TENSOR_TABLE when it is none. */
export function factorOfTensor(name: string): 'A' | 'B' {
  if (name.includes('.lora_A.')) return 'A';
  if (name.includes('.lora_B.')) return 'B';
  throw new PrefmeshError('WRONG_TENSOR_TABLE', { problem: `${name} is no factor of a LoRA pair` });
}

/** The part of a table that a round of this factor sends. Throws WRONG_TENSOR_TABLE. */
export function factorTable(table: readonly TensorShape[], factor: Factor): readonly TensorShape[] {
  return table.filter(({ name }) => factor === 'both' || factorOfTensor(name) === factor);
}

/** `adapter` with `delta` added to the tensors that delta has. Throws WRONG_TENSOR_TABLE, OUT_OF_RANGE. */
export function addDelta(adapter: FixedPointTensors, delta: FixedPointTensors): FixedPointTensors {
  checkSameScale(delta.bits, adapter.bits);
  const deltas = new Map<string, { tensor: TensorShape; at: number }>();
  let at = 0;
  for (const tensor of delta.table) {
    deltas.set(tensor.name, { tensor, at });
    at += valueCount(tensor);
  }
  const values = Int32Array.from(adapter.values);
  at = 0;
  for (const tensor of adapter.table) {
    const count = valueCount(tensor);
    const found = deltas.get(tensor.name);
    if (found) {
      checkSameTable([tensor], [found.tensor]);
      deltas.delete(tensor.name);
      for (let i = 0; i < count; i++) {
        const sum = adapter.values[at + i]! + delta.values[found.at + i]!;
        if (Math.abs(sum) > LARGEST_VALUE)
          throw new PrefmeshError('OUT_OF_RANGE', { tensor: tensor.name, bits: adapter.bits });
        values[at + i] = sum;
      }
    }
    at += count;
  }
  const [left] = deltas.keys();
  if (left !== undefined) throw new PrefmeshError('WRONG_TENSOR_TABLE', { problem: `the adapter has no ${left}` });
  return { bits: adapter.bits, table: adapter.table, values };
}
