/**
 * Reverse mode that keeps few activations (Chen et al. 2016, "Training deep nets with sublinear memory cost"): of the
 * forward pass only the given values are kept, and what lies between two of them is computed again when the backward
 * pass gets there. A third more arithmetic for a fraction of the memory; the gradients are the same to the bit.
 *
 * A copy that could be told from its original by nothing would be merged with it, by `simplify.ts` and by the runtime,
 * and so be kept after all. Hence the barrier (`barrier.ts`): the copy starts from values that cannot be had before the
 * gradient.
 */

import { barrierAfter, type Barrier } from './barrier.ts';
import { backward, dependentOn } from './derivative.ts';
import { apply, inTopologicalOrder, scalar, shapeText, type Value } from './graph.ts';
import { add, multiply } from './operators/elementwise.ts';

/**
 * Gradients of the scalar `loss` by each of `variables`, as `gradients` gives them.
 *
 * `kept` are values in the order they are computed in, each of which all later ones and the loss depend on only through
 * the one before it, the variables and the graph's inputs: the hidden states between layers. What comes after the last
 * is needed at once, and not computed again.
 */
export function checkpointedGradients(loss: Value, variables: readonly Value[], kept: readonly Value[]): Value[] {
  if (loss.shape.length !== 0) throw new Error(`gradients: the loss must be a scalar, not ${shapeText(loss.shape)}`);
  const totals = new Map<Value, Value>();
  const wanted = new Set(variables);
  let end = loss;
  let gradient: Value = scalar(1);
  for (const start of [...kept.toReversed(), undefined]) {
    const segment = segmentBetween(start, end, wanted);
    const copy = end === loss ? segment : computedAgain(segment, barrierAfter(gradient));
    const slopes = backward(copy.end, gradient, copy.sources);
    for (const [i, source] of segment.sources.entries()) {
      if (source === start) continue;
      const sofar = totals.get(source);
      totals.set(source, sofar === undefined ? slopes[i]! : add(sofar, slopes[i]!));
    }
    if (start === undefined || !segment.sources.includes(start)) break;
    end = start;
    gradient = slopes[segment.sources.indexOf(start)]!;
  }
  return variables.map((variable) => totals.get(variable) ?? multiply(variable, scalar(0)));
}

/** A part of the graph: what is computed from `sources` up to `end`. */
interface Segment {
  readonly end: Value;
  /** Where the part begins: `start`, where there is one, and the variables that it uses. */
  readonly sources: readonly Value[];
}

function segmentBetween(start: Value | undefined, end: Value, variables: ReadonlySet<Value>): Segment {
  const stops = new Set(start === undefined ? variables : [...variables, start]);
  return { end, sources: inTopologicalOrder([end], stops).filter((value) => stops.has(value)) };
}

/** The same part once more, from behind the barrier. What follows from no source is not copied. */
function computedAgain({ end, sources }: Segment, barrier: Barrier): Segment {
  const copies = new Map<Value, Value>(sources.map((source) => [source, barrier(source)]));
  const order = inTopologicalOrder([end], new Set(sources));
  const dependent = dependentOn(sources, order);
  for (const value of order) {
    if (value.kind !== 'application' || copies.has(value) || !dependent.has(value)) continue;
    const inputs = value.inputs.map((each) => copies.get(each) ?? each);
    copies.set(value, apply(value.operator, inputs, value.attributes));
  }
  return { end: copies.get(end) ?? end, sources: sources.map((source) => copies.get(source)!) };
}
