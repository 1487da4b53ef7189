/**
 * The gated unit of Llama's feed-forward block (Shazeer 2020): `silu(gate) · up`, with `silu(x) = x σ(x)`.
 */

import { apply, scalar, type Composite, type Value } from '../graph.ts';
import { add, multiply, sigmoid, subtract } from '../operators/elementwise.ts';

const SILU: Composite<Record<never, never>> = {
  kind: 'composite',
  name: 'silu',
  precision: () => 'as given',
  infer: ([x]) => ({ shape: x!.shape, type: 'float32' }),
  expand: ([x]) => multiply(x!, sigmoid(x!)),
  // σ(x) (1 + x - silu(x)), which needs no product of its own for x σ(x) (1 - σ(x)).
  derivative(node, gradient) {
    const x = node.inputs[0]!;
    return [multiply(multiply(gradient, sigmoid(x)), subtract(add(x, scalar(1)), node))];
  },
  lower(lowering, inputs) {
    if (lowering.device === 'coreml') return null;
    return lowering.emit('QuickGelu', inputs, { alpha: { float: 1 } }, 'com.microsoft');
  },
};

export const silu = (x: Value): Value => apply(SILU, [x], {});

// Of the forward pass only the gate and the other half are kept: silu(gate) is formed anew, which takes one pass over it.
const SWIGLU: Composite<Record<never, never>> = {
  kind: 'composite',
  name: 'swiglu',
  precision: () => 'as given',
  infer: ([gate]) => ({ shape: gate!.shape, type: 'float32' }),
  expand: ([gate, up]) => multiply(silu(gate!), up!),
  derivative({ inputs }, gradient) {
    const [gate, up] = inputs as [Value, Value];
    const slope = sigmoid(gate);
    const unit = multiply(gate, slope);
    const forUp = multiply(gradient, unit);
    const forUnit = multiply(gradient, up);
    return [multiply(multiply(forUnit, slope), subtract(add(gate, scalar(1)), unit)), forUp];
  },
};

/** Both of one shape, which the result has too. */
export const swiglu = (gate: Value, up: Value): Value => apply(SWIGLU, [gate, up], {});
