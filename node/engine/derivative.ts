/**
 * Reverse-mode differentiation: from a scalar value to graph values for its gradients.
 *
 * Each operator says how a gradient passes through it; this file only walks the graph backwards and adds up. A
 * composite without a derivative of its own is differentiated through its expansion.
 */

import { inTopologicalOrder, scalar, type Application, type Value, shapeText } from './graph.ts';
import { add, multiply } from './operators/elementwise.ts';
import { expand } from './operators/broadcasting.ts';

/**
 * Gradients of the scalar `loss` by each of `variables`.
 *
 * A variable may be any value, not just an input: the walk stops there, so a gradient by the parts of a sliced vector
 * costs no padding back to the whole.
 */
export function gradients(loss: Value, variables: readonly Value[]): Value[] {
  if (loss.shape.length !== 0) throw new Error(`gradients: the loss must be a scalar, not ${shapeText(loss.shape)}`);
  return backward(loss, scalar(1), variables);
}

/** Gradients of `sum(output · seed)` by each of `variables`. */
export function backward(output: Value, seed: Value, variables: readonly Value[]): Value[] {
  const stops = new Set(variables);
  const order = inTopologicalOrder([output], stops);
  const dependent = dependentOn(variables, order);
  const gradientOf = new Map<Value, Value>([[output, seed]]);
  for (const value of order.reverse()) {
    const gradient = gradientOf.get(value);
    if (gradient === undefined || value.kind !== 'application' || stops.has(value)) continue;
    for (const [i, contribution] of derivativeOf(value, gradient).entries()) {
      const input = value.inputs[i]!;
      if (contribution === null || !dependent.has(input)) continue;
      const sofar = gradientOf.get(input);
      gradientOf.set(input, sofar === undefined ? contribution : add(sofar, contribution));
    }
  }
  return variables.map((variable) => gradientOf.get(variable) ?? zerosLike(variable));
}

function derivativeOf(node: Application, gradient: Value): readonly (Value | null)[] {
  const { operator, inputs, attributes } = node;
  if (operator.derivative !== undefined) return operator.derivative(node, gradient);
  if (operator.kind === 'primitive') throw new Error(`${operator.name} has no derivative`);
  return backward(operator.expand(inputs, attributes), gradient, inputs);
}

/** The values of `order`, each after its inputs, that follow from `variables`; the variables included. */
export function dependentOn(variables: readonly Value[], order: readonly Value[]): Set<Value> {
  const dependent = new Set<Value>(variables);
  for (const value of order) {
    if (value.kind === 'application' && value.inputs.some((each) => dependent.has(each))) dependent.add(value);
  }
  return dependent;
}

function zerosLike(value: Value): Value {
  return value.shape.length === 0 ? scalar(0) : multiply(expand(scalar(0), value.shape), scalar(1));
}
