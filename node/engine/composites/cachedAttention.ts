/**
 * Attention of one new token per row over a cache of earlier keys and values, and over itself.
 *
 * The cache has a fixed extent and is read where it lies; what is not yet written, and what is padding, is masked.
 */

import { apply, type Composite, type Value } from '../graph.ts';
import { add } from '../operators/elementwise.ts';
import { concat, reshape, sliceAxis } from '../operators/layout.ts';
import { matmul } from '../operators/matmul.ts';
import { softmax } from '../operators/softmax.ts';

const CACHED_ATTENTION: Composite<Record<never, never>> = {
  kind: 'composite',
  name: 'cachedAttention',
  infer: ([q]) => ({ shape: q!.shape, type: 'float32' }),
  expand([queries, key, value, keyCache, valueCache, mask]) {
    const [rows, , , width] = queries!.shape as [number, number, number, number];
    const context = keyCache!.shape[2]!;
    const scale = 1 / Math.sqrt(width);
    const earlier = matmul(queries!, keyCache!, { transposeB: true, alpha: scale });
    const itself = matmul(queries!, key!, { transposeB: true, alpha: scale });
    const probabilities = softmax(concat([add(earlier, reshape(mask!, [rows, 1, 1, context])), itself], -1));
    return add(
      matmul(sliceAxis(probabilities, -1, 0, context), valueCache!),
      matmul(sliceAxis(probabilities, -1, context, 1), value!),
    );
  },
};

export interface KeyValueCache {
  /** `[rows, kvHeads, context, headDim]` each. */
  readonly keys: Value;
  readonly values: Value;
  /** `[rows, context]`: 0 where the cache holds a token, `MASKED` elsewhere. */
  readonly mask: Value;
}

/** `queries` `[rows, kvHeads, group, headDim]`, `key` and `value` `[rows, kvHeads, 1, headDim]`; shaped as `queries`. */
export function cachedAttention(queries: Value, key: Value, value: Value, cache: KeyValueCache): Value {
  return apply(CACHED_ATTENTION, [queries, key, value, cache.keys, cache.values, cache.mask], {});
}
