/**
 * The few operations that losses are written in, on two kinds of number: float64, for the loss that is reported, and
 * graph values, for the gradient. A formula is written once over either, so that the two cannot drift apart.
 */
import { scalar, type Value } from '../engine/graph.ts';
import { add, divide, multiply, negate, relu, sigmoid, softplus, subtract } from '../engine/operators/elementwise.ts';

export interface Arithmetic<Quantity> {
  constant(value: number): Quantity;
  add(a: Quantity, b: Quantity): Quantity;
  subtract(a: Quantity, b: Quantity): Quantity;
  multiply(a: Quantity, b: Quantity): Quantity;
  divide(a: Quantity, b: Quantity): Quantity;
  negate(x: Quantity): Quantity;
  /** `1 / (1 + exp(-x))`. */
  sigmoid(x: Quantity): Quantity;
  /** `log(1 + exp(x))`, finite for every x: `-log σ(x)` is `softplus(-x)`. */
  softplus(x: Quantity): Quantity;
  /** `max(0, x)`. */
  relu(x: Quantity): Quantity;
}

export const FLOAT64: Arithmetic<number> = {
  constant: (value) => value,
  add: (a, b) => a + b,
  subtract: (a, b) => a - b,
  multiply: (a, b) => a * b,
  divide: (a, b) => a / b,
  negate: (x) => -x,
  sigmoid: (x) => 1 / (1 + Math.exp(-x)),
  softplus: (x) => Math.max(x, 0) + Math.log1p(Math.exp(-Math.abs(x))),
  relu: (x) => Math.max(0, x),
};

export const GRAPH: Arithmetic<Value> = {
  constant: scalar,
  add,
  subtract,
  multiply,
  divide,
  negate,
  sigmoid,
  softplus,
  relu,
};
