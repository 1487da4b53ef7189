/**
 * Rotary position embedding (Su et al. 2021) in the rotate-half layout of Hugging Face checkpoints: within each head
 * the first half is paired with the second, and each pair is turned by its angle.
 */

import { apply, constant, type Composite, type Constant, type Value } from '../graph.ts';
import { add, multiply, negate, subtract } from '../operators/elementwise.ts';
import { gatherRows } from '../operators/indexing.ts';
import { concat, reshape, sliceAxis } from '../operators/layout.ts';

interface RotaryAttributes {
  readonly heads: number;
}

const ROTARY: Composite<RotaryAttributes> = {
  kind: 'composite',
  name: 'rotary',
  infer: ([x]) => ({ shape: x!.shape, type: 'float32' }),
  expand([x, positions, cos, sin], { heads }) {
    const [batch, time, width] = x!.shape as [number, number, number];
    const half = width / heads / 2;
    const split = reshape(x!, [batch, time, heads, 2 * half]);
    const [first, second] = [sliceAxis(split, -1, 0, half), sliceAxis(split, -1, half, half)];
    const c = reshape(gatherRows(cos!, positions!), [batch, time, 1, half]);
    const s = reshape(gatherRows(sin!, positions!), [batch, time, 1, half]);
    const turned = [subtract(multiply(first, c), multiply(second, s)), add(multiply(second, c), multiply(first, s))];
    return reshape(concat(turned, -1), x!.shape);
  },
  // A rotation's adjoint is the rotation back.
  derivative({ inputs, attributes }, gradient) {
    const [, positions, cos, sin] = inputs as [Value, Value, Value, Value];
    return [apply(ROTARY, [gradient, positions, cos, negate(sin)], attributes), null, null, null];
  },
  lower(lowering, [x, positions, cos, sin], { attributes }) {
    if (lowering.device === 'coreml') return null;
    const inputs = [x!, lowering.asInt64(positions!), cos!, sin!];
    return lowering.emit('RotaryEmbedding', inputs, { num_heads: attributes.heads, interleaved: 0 }, 'com.microsoft');
  },
};

export interface RotaryTables {
  /** `[positions, headDim / 2]` each. */
  readonly cos: Constant;
  readonly sin: Constant;
}

/** `θ^(-2i / headDim)`, radians per position of each pair. */
export function rotaryFrequencies(headDim: number, theta: number): Float64Array {
  return Float64Array.from({ length: headDim / 2 }, (_, i) => theta ** ((-2 * i) / headDim));
}

/** Cosines and sines of `position · frequency`. The kernel wants as many rows as its input has time steps. */
export function rotaryTables(positions: number, frequencies: Float64Array): RotaryTables {
  const half = frequencies.length;
  const table = (f: (x: number) => number) =>
    constant(
      Float32Array.from({ length: positions * half }, (_, i) => f(Math.floor(i / half) * frequencies[i % half]!)),
      [positions, half],
    );
  return { cos: table(Math.cos), sin: table(Math.sin) };
}

/** `x` `[batch, time, heads · headDim]` turned by `positions` `[batch, time]`. */
export function rotary(x: Value, positions: Value, tables: RotaryTables, heads: number): Value {
  return apply(ROTARY, [x, positions, tables.cos, tables.sin], { heads });
}
