import assert from 'node:assert/strict';
import { gradients } from '../../../node/engine/derivative.ts';
import { input } from '../../../node/engine/graph.ts';
import { sum } from '../../../node/engine/operators/broadcasting.ts';
import { matmul } from '../../../node/engine/operators/matmul.ts';
import { matmulFlops } from '../../../scripts/bench/flops.ts';

describe('the arithmetic of a graph', () => {
  it('counts two operations for each element and step of a product, transposed or in batches', () => {
    assert.equal(matmulFlops([matmul(input('a', [2, 3]), input('b', [3, 5]))]), 2 * 2 * 3 * 5);
    const transposed = matmul(input('a', [3, 2]), input('b', [5, 3]), { transposeA: true, transposeB: true });
    assert.equal(matmulFlops([transposed]), 2 * 2 * 3 * 5);
    assert.equal(matmulFlops([matmul(input('a', [7, 2, 3]), input('b', [7, 3, 5]))]), 7 * 2 * 2 * 3 * 5);
  });

  it('counts a value once that several outputs need, and the products of a derivative', () => {
    const [a, b] = [input('a', [2, 3]), input('b', [3, 5])];
    assert.equal(matmulFlops([matmul(a, b), matmul(a, b)]), 60);
    const product = matmul(a, b);
    assert.equal(matmulFlops([product, ...gradients(sum(product, [0, 1]), [a, b])]), 180);
  });
});
