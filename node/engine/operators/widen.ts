/**
 * Bytes as the integers that operators index with.
 */

import { apply, type Primitive, type Value } from '../graph.ts';
import { ELEMENT_TYPE } from '../onnx/schema.ts';

const WIDEN: Primitive<Record<never, never>> = {
  kind: 'primitive',
  name: 'widen',
  infer: ([x]) => ({ shape: x!.shape, type: 'int32' }),
  derivative: () => [null],
  lower: (lowering, inputs) => lowering.emit('Cast', inputs, { to: ELEMENT_TYPE.int32 }),
  // There bytes are held as integers already: it has no narrower ones.
  interpret: (tensors, [x], { shape }) => tensors.reshape(x!, shape),
  evaluate: ([x]) => x!.data,
};

/** `x`, uint8, as int32. */
export const widen = (x: Value): Value => apply(WIDEN, [x], {});
