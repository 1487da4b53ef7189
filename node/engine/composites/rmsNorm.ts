/**
 * Root-mean-square normalisation (Zhang and Sennrich 2019): `y = x / sqrt(mean(x²) + ε) · w`, over the last axis.
 */

import { apply, scalar, type Composite, type Value } from '../graph.ts';
import { add, divide, multiply, squareRoot, subtract } from '../operators/elementwise.ts';
import { sum, sumTo } from '../operators/broadcasting.ts';

interface RmsNormAttributes {
  readonly epsilon: number;
}

const RMS_NORM: Composite<RmsNormAttributes> = {
  kind: 'composite',
  name: 'rmsNorm',
  infer: ([x]) => ({ shape: x!.shape, type: 'float32' }),
  expand: ([x, w], { epsilon }) => multiply(multiply(x!, inverseRms(x!, epsilon)), w!),
  derivative({ inputs, attributes }, gradient) {
    const [x, w] = inputs as [Value, Value];
    // The kernel's own second output, the inverse, is wrong on WebGPU; computing it again costs one pass.
    const inverse = inverseRms(x, attributes.epsilon);
    const normalised = multiply(x, inverse);
    const scaled = multiply(gradient, w);
    const along = mean(multiply(scaled, normalised));
    const forX = multiply(subtract(scaled, multiply(normalised, along)), inverse);
    return [forX, sumTo(multiply(gradient, normalised), w.shape)];
  },
  lower(lowering, inputs, { attributes }) {
    if (lowering.device === 'coreml') return null;
    return lowering.emit('SimplifiedLayerNormalization', inputs, { axis: -1, epsilon: { float: attributes.epsilon } });
  },
};

export const rmsNorm = (x: Value, w: Value, epsilon: number): Value => apply(RMS_NORM, [x, w], { epsilon });

function inverseRms(x: Value, epsilon: number): Value {
  return divide(scalar(1), squareRoot(add(mean(multiply(x, x)), scalar(epsilon))));
}

function mean(x: Value): Value {
  return multiply(sum(x, [-1], true), scalar(1 / x.shape.at(-1)!));
}
