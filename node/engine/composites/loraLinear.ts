/**
 * A frozen linear map with a low-rank adapter (Hu et al. 2021): `y = x Wᵀ + scale · (x Aᵀ) Bᵀ`.
 *
 * Its derivative takes two skinny products per factor and never forms the gradient of `W`.
 */

import { apply, type Composite, type Value } from '../graph.ts';
import { add } from '../operators/elementwise.ts';
import { matmul } from '../operators/matmul.ts';

interface LoraLinearAttributes {
  /** `alpha / rank`. */
  readonly scale: number;
  /** Whether `W + scale · B A` is formed first: fewer passes over many rows, at the price of a second `W`. */
  readonly merged: boolean;
}

const LORA_LINEAR: Composite<LoraLinearAttributes> = {
  kind: 'composite',
  name: 'loraLinear',
  infer: ([x, w]) => ({ shape: [x!.shape[0]!, w!.shape[0]!], type: 'float32' }),
  expand([x, w, a, b], { scale, merged }) {
    if (merged) return matmul(x!, mergedWeight(w!, a!, b!, scale), { transposeB: true });
    const down = matmul(x!, a!, { transposeB: true });
    return add(matmul(x!, w!, { transposeB: true }), matmul(down, b!, { transposeB: true, alpha: scale }));
  },
  derivative({ inputs, attributes: { scale, merged } }, gradient) {
    const [x, w, a, b] = inputs as [Value, Value, Value, Value];
    const down = matmul(x, a, { transposeB: true });
    const up = matmul(gradient, b, { alpha: scale });
    const forX = merged ? matmul(gradient, mergedWeight(w, a, b, scale)) : add(matmul(gradient, w), matmul(up, a));
    const forA = matmul(up, x, { transposeA: true });
    const forB = matmul(gradient, down, { transposeA: true, alpha: scale });
    return [forX, matmul(gradient, x, { transposeA: true }), forA, forB];
  },
};

/** `x` `[n, in]`, `w` `[out, in]`, `a` `[rank, in]`, `b` `[out, rank]`: `[n, out]`. */
export function loraLinear(x: Value, w: Value, a: Value, b: Value, attributes: LoraLinearAttributes): Value {
  return apply(LORA_LINEAR, [x, w, a, b], attributes);
}

function mergedWeight(w: Value, a: Value, b: Value, scale: number): Value {
  return add(w, matmul(b, a, { alpha: scale }));
}
