/**
 * Rows of a matrix moved to other places, as tokens are between a layout without padding and one with it. Its
 * derivative is the move back, so no sum over indices is needed: that asks for places where nothing is lost, see below.
 */

import { apply, type Composite, type Value } from '../graph.ts';
import { gatherRows } from '../operators/indexing.ts';

const RELOCATED_ROWS: Composite<Record<never, never>> = {
  kind: 'composite',
  name: 'relocatedRows',
  infer: ([x, from]) => ({ shape: [from!.shape[0]!, x!.shape[1]!], type: 'float32' }),
  expand: ([x, from]) => gatherRows(x!, from!),
  derivative({ inputs }, gradient) {
    const [, from, back] = inputs as [Value, Value, Value];
    return [relocatedRows(gradient, back, from), null, null];
  },
};

/**
 * Row `i` of the result is row `from[i]` of `x` `[n, width]`; `from` is `[m]`, `back` is `[n]`.
 *
 * Where row `i` of `x` matters, `from[back[i]] = i`. Rows of either side that matter to nobody, padding, point at padding
 * of the other side; their gradients are zero.
 */
export function relocatedRows(x: Value, from: Value, back: Value): Value {
  return apply(RELOCATED_ROWS, [x, from, back], {});
}
