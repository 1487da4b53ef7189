import assert from 'node:assert/strict';
import { gradients } from '../../../node/engine/derivative.ts';
import { inTopologicalOrder, input, scalar, type Value } from '../../../node/engine/graph.ts';
import { silu } from '../../../node/engine/composites/swiglu.ts';
import { sum } from '../../../node/engine/operators/broadcasting.ts';
import { add, multiply } from '../../../node/engine/operators/elementwise.ts';
import { slice } from '../../../node/engine/operators/layout.ts';
import { evaluate } from '../../../node/engine/reference.ts';
import { simplify } from '../../../node/engine/simplify.ts';

const operatorsOf = (outputs: readonly Value[]): string[] =>
  inTopologicalOrder(outputs).flatMap((value) => (value.kind === 'application' ? [value.operator.name] : []));

describe('gradients', () => {
  it('add up over every use of a variable', () => {
    const x = input('x', []);
    const [gradient] = gradients(add(multiply(x, x), multiply(x, scalar(3))), [x]);
    assert.deepEqual([...evaluate([gradient!], { x: [5] })[0]!.data], [13]);
  });

  it('stop at a variable that is itself computed', () => {
    const x = input('x', [4]);
    const part = slice(x, [1], [2]);
    const gradient = gradients(sum(multiply(part, part), [0]), [part]);
    assert.deepEqual([...evaluate(gradient, { x: [1, 2, 3, 4] })[0]!.data], [4, 6]);
    assert.ok(!operatorsOf(gradient).includes('pad'));
  });

  it('are zero by a variable that the loss does not use', () => {
    const [x, unused] = [input('x', []), input('unused', [2])];
    const [, gradient] = gradients(multiply(x, x), [x, unused]);
    assert.deepEqual([...evaluate([gradient!], { x: [5] })[0]!.data], [0, 0]);
  });

  it('are refused of a loss that is no scalar', () => {
    const x = input('x', [2]);
    assert.throws(() => gradients(x, [x]), /must be a scalar, not \[2\]/);
  });
});

describe('simplify', () => {
  it('merges equal subgraphs, so that a derivative shares the forward values it rebuilds', () => {
    const x = input('x', [3]);
    const twice = add(multiply(x, scalar(2)), multiply(x, scalar(2)));
    assert.deepEqual(operatorsOf(simplify([twice], () => false)), ['multiply', 'add']);
  });

  it('keeps apart what differs only in an attribute or a constant', () => {
    const x = input('x', [4]);
    const parts = add(slice(x, [0], [2]), slice(x, [2], [2]));
    assert.deepEqual(operatorsOf(simplify([parts], () => false)), ['slice', 'slice', 'add']);
    const scaled = add(multiply(x, scalar(2)), multiply(x, scalar(3)));
    assert.deepEqual(operatorsOf(simplify([scaled], () => false)), ['multiply', 'multiply', 'add']);
  });

  it('expands a composite unless it is kept whole', () => {
    const x = input('x', [3]);
    assert.deepEqual(operatorsOf(simplify([silu(x)], () => true)), ['silu']);
    assert.deepEqual(operatorsOf(simplify([silu(x)], () => false)), ['sigmoid', 'multiply']);
  });
});
