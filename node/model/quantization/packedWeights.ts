/**
 * A quantised weight as graph values.
 *
 * Of a double-quantised NF4 weight the magnitudes of its blocks are unpacked in the graph, from 8 bits to float32, once
 * a run: a 64th of the weights, so it costs nothing to speak of, and the file stays the only copy at rest.
 */
import type { PackedWeights } from '../../engine/composites/quantizedLinear.ts';
import { scalar, weight, type Value } from '../../engine/graph.ts';
import { add, multiply } from '../../engine/operators/elementwise.ts';
import { gatherRows } from '../../engine/operators/indexing.ts';
import { concat, reshape, sliceAxis } from '../../engine/operators/layout.ts';
import { widen } from '../../engine/operators/widen.ts';
import { DYNAMIC_BLOCK } from './dynamicMap.ts';
import { INT4_BLOCK } from './int4.ts';
import { NF4_BLOCK } from './nf4.ts';
import type { QuantizedTensor } from './quantizedTensors.ts';

/** The codes and scales of a `[out, in]` weight as graph values that read its file. */
export function packedWeights(tensor: QuantizedTensor): PackedWeights {
  const { scheme, shape } = tensor;
  const [out, width] = shape;
  const block = scheme === 'nf4' ? NF4_BLOCK : INT4_BLOCK;
  const packing = { scheme, out, in: width, block };
  if (tensor.scheme === 'int4') return { packing, codes: weight(tensor.codes), scales: weight(tensor.scales) };
  // One axis, as the kernel wants it, where the file has [n, 1].
  const codes = weight({ ...tensor.codes, shape: [tensor.codes.bytes] });
  return { packing, codes, scales: magnitudes(tensor) };
}

/** `map[code] · scale + offset` for every block: `[blocks]`. */
function magnitudes({ absmax, nestedAbsmax, nestedMap, offset }: Extract<QuantizedTensor, { scheme: 'nf4' }>): Value {
  const [blocks] = absmax.shape as [number];
  const values = gatherRows(weight({ ...nestedMap, shape: [nestedMap.shape[0]!, 1] }), widen(weight(absmax)));
  const scales = weight(nestedAbsmax);
  const whole = Math.floor(blocks / DYNAMIC_BLOCK);
  const part = (first: number, count: number, each: number): Value => {
    const own = reshape(sliceAxis(values, 0, first * DYNAMIC_BLOCK, count * each), [count, each]);
    return reshape(multiply(own, reshape(sliceAxis(scales, 0, first, count), [count, 1])), [count * each]);
  };
  const rest = blocks - whole * DYNAMIC_BLOCK;
  const parts = [...(whole > 0 ? [part(0, whole, DYNAMIC_BLOCK)] : []), ...(rest > 0 ? [part(whole, 1, rest)] : [])];
  return add(parts.length === 1 ? parts[0]! : concat(parts, 0), scalar(offset));
}
