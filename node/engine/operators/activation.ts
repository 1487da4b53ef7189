/**
 * Marks a value that is held for long: where activations are held in half precision, it is rounded to it here. In
 * float32 it is the value itself, and costs nothing.
 */

import { apply, type Primitive, type Value } from '../graph.ts';

const ACTIVATION: Primitive<Record<never, never>> = {
  kind: 'primitive',
  name: 'activation',
  precision: () => 'half',
  infer: ([x]) => ({ shape: x!.shape, type: 'float32' }),
  derivative: (_node, gradient) => [gradient],
  // The executor hands it over in the precision it computes in, which is all it is for.
  lower: (_lowering, [x]) => x!,
  interpret: (tensors, [x], { shape }) => tensors.reshape(x!, shape),
  evaluate: ([x]) => x!.data,
};

/** `x`, to be held in half precision where that was asked for. */
export const activation = (x: Value): Value => apply(ACTIVATION, [x], {});
