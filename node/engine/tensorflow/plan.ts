/**
 * A graph as a list of steps, each with the values that nothing needs after it.
 */

import { inTopologicalOrder, type Application, type Input, type Value } from '../graph.ts';
import { simplify } from '../simplify.ts';

export interface Step {
  readonly node: Application;
  /** Operators' results, and never leaves, that are read for the last time here. */
  readonly lastUses: readonly Application[];
}

export interface Plan {
  readonly inputs: readonly Input[];
  /** Constants and weights. */
  readonly leaves: readonly Exclude<Value, Input | Application>[];
  readonly steps: readonly Step[];
  readonly outputs: ReadonlyMap<string, Value>;
}

/** The plan of a graph in primitives alone. */
export function planOf(outputs: Readonly<Record<string, Value>>): Plan {
  const values = simplify(Object.values(outputs), () => false);
  const order = inTopologicalOrder(values);
  const kept = new Set(values);
  const lastUser = new Map<Value, Application>();
  for (const node of order) {
    if (node.kind !== 'application') continue;
    for (const value of node.inputs) lastUser.set(value, node);
  }
  const steps: Step[] = [];
  for (const node of order) {
    if (node.kind !== 'application') continue;
    const lastUses = [...new Set(node.inputs)].filter((value): value is Application => {
      return value.kind === 'application' && lastUser.get(value) === node && !kept.has(value);
    });
    steps.push({ node, lastUses });
  }
  return {
    inputs: order.filter((value) => value.kind === 'input'),
    leaves: order.filter((value) => value.kind === 'constant' || value.kind === 'weight'),
    steps,
    outputs: new Map(Object.keys(outputs).map((name, i) => [name, values[i]!])),
  };
}
