/**
 * The plain evaluator: every operator in float64, one after the other. It is what the lowerings and the derivatives
 * are checked against, and is never fast.
 */

import { readFileSync } from 'node:fs';
import { inTopologicalOrder, type NumericTensor, type Value, type WeightSource } from './graph.ts';
import { simplify } from './simplify.ts';

/** The outputs' values, given those of the inputs by name. */
export function evaluate(
  outputs: readonly Value[],
  feeds: Readonly<Record<string, ArrayLike<number>>>,
): NumericTensor[] {
  const plain = simplify(outputs, () => false);
  const results = new Map<Value, NumericTensor>();
  for (const value of inTopologicalOrder(plain)) {
    results.set(value, { shape: value.shape, data: dataOf(value, feeds, results) });
  }
  return plain.map((output) => results.get(output)!);
}

function dataOf(
  value: Value,
  feeds: Readonly<Record<string, ArrayLike<number>>>,
  results: ReadonlyMap<Value, NumericTensor>,
): Float64Array {
  switch (value.kind) {
    case 'input': {
      const feed = feeds[value.name];
      if (feed === undefined) throw new Error(`no value was fed for input ${value.name}`);
      return Float64Array.from(feed);
    }
    case 'constant':
      return Float64Array.from(value.data);
    case 'weight':
      return readWeight(value.source);
    case 'application': {
      const { operator } = value;
      if (operator.kind === 'composite') throw new Error(`${operator.name} was not expanded`);
      return operator.evaluate(
        value.inputs.map((each) => results.get(each)!),
        value,
      );
    }
  }
}

function readWeight(source: WeightSource): Float64Array {
  const bytes = readFileSync(source.file).subarray(source.offset, source.offset + source.bytes);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const width = { F32: 4, F16: 2, BF16: 2, U8: 1 }[source.dtype];
  return Float64Array.from({ length: source.bytes / width }, (_, i) => {
    switch (source.dtype) {
      case 'F32':
        return view.getFloat32(i * 4, true);
      case 'F16':
        return view.getFloat16(i * 2, true);
      case 'BF16':
        return bfloat16(view.getUint16(i * 2, true));
      case 'U8':
        return view.getUint8(i);
    }
  });
}

/** bfloat16 is the upper half of a float32. */
function bfloat16(bits: number): number {
  const view = new DataView(new ArrayBuffer(4));
  view.setUint16(0, bits);
  return view.getFloat32(0);
}
