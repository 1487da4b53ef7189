/**
 * A frozen linear map with a low-rank adapter (Hu et al. 2021): `y = x Wᵀ + scale · (x Aᵀ) Bᵀ`.
 *
 * The adapter's products are exact, as its values and gradients are float32 everywhere.
 * Its derivative by the factors takes two skinny products each. Forming `W + scale · B A` first was measured: no faster
 * for a small model, and a second copy of the weights for a large one.
 */

import { apply, type Composite, type Value } from '../graph.ts';
import { add } from '../operators/elementwise.ts';
import { matmul } from '../operators/matmul.ts';

interface LoraLinearAttributes {
  /** `alpha / rank`. */
  readonly scale: number;
}

const LORA_LINEAR: Composite<LoraLinearAttributes> = {
  kind: 'composite',
  name: 'loraLinear',
  infer: ([x, w]) => ({ shape: [x!.shape[0]!, w!.shape[0]!], type: 'float32' }),
  expand([x, w, a, b], { scale }) {
    const down = matmul(x!, a!, { transposeB: true, exact: true });
    return add(matmul(x!, w!, { transposeB: true }), matmul(down, b!, { transposeB: true, alpha: scale, exact: true }));
  },
  derivative({ inputs, attributes: { scale } }, gradient) {
    const [x, w, a, b] = inputs as [Value, Value, Value, Value];
    const down = matmul(x, a, { transposeB: true, exact: true });
    const up = matmul(gradient, b, { alpha: scale, exact: true });
    const forX = add(matmul(gradient, w), matmul(up, a, { exact: true }));
    const forA = matmul(up, x, { transposeA: true, exact: true });
    const forB = matmul(gradient, down, { transposeA: true, alpha: scale, exact: true });
    return [forX, matmul(gradient, x, { transposeA: true }), forA, forB];
  },
};

/** `x` `[n, in]`, `w` `[out, in]`, `a` `[rank, in]`, `b` `[out, rank]`: `[n, out]`. */
export function loraLinear(x: Value, w: Value, a: Value, b: Value, attributes: LoraLinearAttributes): Value {
  return apply(LORA_LINEAR, [x, w, a, b], attributes);
}
