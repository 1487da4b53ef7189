/**
 * From a graph as it was written to a graph as it is run: composites expanded where no fused kernel takes them, and
 * equal subgraphs merged. Derivatives rebuild the forward values they need; merging makes them share the forward's.
 */

import { apply, inTopologicalOrder, type Application, type Value, shapeText } from './graph.ts';

/** Whether a composite stays whole. */
export type KeepWhole = (node: Application) => boolean;

/** The same outputs, over expanded and merged values. */
export function simplify(outputs: readonly Value[], keepWhole: KeepWhole): Value[] {
  const canonical = new Map<Value, Value>();
  const byKey = new Map<string, Value>();
  const numbers = new Map<object, number>();

  const numberOf = (thing: object): number => {
    const known = numbers.get(thing);
    if (known !== undefined) return known;
    numbers.set(thing, numbers.size);
    return numbers.size - 1;
  };

  const merge = (value: Value): Value => {
    const key = keyOf(value, numberOf);
    const known = byKey.get(key);
    if (known !== undefined) return known;
    byKey.set(key, value);
    return value;
  };

  const settle = (roots: readonly Value[]): void => {
    for (const value of inTopologicalOrder(roots)) {
      if (canonical.has(value)) continue;
      if (value.kind !== 'application') {
        canonical.set(value, merge(value));
        continue;
      }
      const { operator, attributes } = value;
      const inputs = value.inputs.map((each) => canonical.get(each)!);
      const node = apply(operator, inputs, attributes);
      if (operator.kind === 'composite' && !keepWhole(node)) {
        const expansion = operator.expand(inputs, attributes);
        for (const each of inputs) canonical.set(each, each);
        settle([expansion]);
        canonical.set(value, canonical.get(expansion)!);
      } else {
        canonical.set(value, merge(node));
      }
    }
  };

  settle(outputs);
  return outputs.map((output) => canonical.get(output)!);
}

function keyOf(value: Value, numberOf: (thing: object) => number): string {
  switch (value.kind) {
    case 'input':
      return `input ${value.name}`;
    case 'weight':
      return `weight ${value.source.file} ${value.source.offset}`;
    case 'constant': {
      const content = value.data.length <= 16 ? [...value.data].join(' ') : `#${numberOf(value.data)}`;
      return `constant ${value.type} ${shapeText(value.shape)} ${content}`;
    }
    case 'application':
      return `${value.operator.name} ${JSON.stringify(value.attributes)} ${value.inputs.map(numberOf).join(' ')}`;
  }
}
