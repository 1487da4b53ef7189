import assert from 'node:assert/strict';
import { BatchPlan, type BatchPlanOptions } from '../../../node/training/batches.ts';

const pairs = (count: number) =>
  Array.from({ length: count }, (_, i) => ({
    id: String(i),
    prompt: [1],
    chosen: Array.from({ length: 1 + ((i * 7) % 5) }, () => 2),
    rejected: [3],
  }));

const plan = (count: number, options: Partial<BatchPlanOptions>) =>
  new BatchPlan(pairs(count), { batchSize: 2, accumulate: 1, shuffle: false, seed: 0, ...options });

const all = (batches: BatchPlan) => Array.from({ length: batches.totalSteps }, (_, step) => batches.step(step));

describe('batch plan', () => {
  it('goes through the pairs in file order when not shuffling', () => {
    assert.deepEqual(all(plan(5, { epochs: 2 })), [[[0, 1]], [[2, 3]], [[4]], [[0, 1]], [[2, 3]], [[4]]]);
  });

  it('makes as many steps as asked, beginning anew where the pairs end', () => {
    assert.deepEqual(all(plan(3, { steps: 4 })), [[[0, 1]], [[2]], [[0, 1]], [[2]]]);
    assert.equal(plan(3, { steps: 1 }).totalSteps, 1);
  });

  it('makes one epoch when nothing is said', () => {
    assert.equal(plan(9, {}).totalSteps, 5);
    assert.equal(plan(9, { accumulate: 2 }).totalSteps, 3);
  });

  it('sees every pair once an epoch, in another order each time', () => {
    const batches = plan(50, { shuffle: true, epochs: 2, batchSize: 8, seed: 3 });
    const order = all(batches).flat(2);
    const [first, second] = [order.slice(0, 50), order.slice(50)];
    const sorted = (epoch: number[]) => epoch.toSorted((a, b) => a - b);
    assert.deepEqual(sorted(first), [...Array(50).keys()]);
    assert.deepEqual(sorted(second), [...Array(50).keys()]);
    assert.notDeepEqual(first, second);
    assert.notDeepEqual(first, sorted(first));
    assert.deepEqual(all(plan(50, { shuffle: true, epochs: 2, batchSize: 8, seed: 3 })).flat(2), order);
    assert.notDeepEqual(all(plan(50, { shuffle: true, epochs: 2, batchSize: 8, seed: 4 })).flat(2), order);
  });

  it('puts pairs of like length into one micro-batch, without moving any between steps', () => {
    const lengths = pairs(12).map(({ chosen }) => chosen.length);
    const grouped = plan(12, { accumulate: 3 });
    for (const [step, micro] of all(grouped).entries()) {
      assert.deepEqual(
        micro.flat().toSorted((a, b) => a - b),
        [0, 1, 2, 3, 4, 5].map((i) => i + 6 * step),
      );
      const inOrder = micro.flat().map((i) => lengths[i]!);
      assert.deepEqual(
        inOrder,
        inOrder.toSorted((a, b) => a - b),
      );
      assert.deepEqual(
        micro.map(({ length }) => length),
        [2, 2, 2],
      );
    }
  });
});
