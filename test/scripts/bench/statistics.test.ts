import assert from 'node:assert/strict';
import { show, spreadOf } from '../../../scripts/bench/statistics.ts';

describe('benchmark statistics', () => {
  it('are the middle of the runs, with the least and the most', () => {
    assert.deepEqual(spreadOf([5, 1, 3]), { median: 3, least: 1, most: 5 });
    assert.deepEqual(spreadOf([4, 1, 2, 9]), { median: 3, least: 1, most: 9 });
    assert.deepEqual(spreadOf([7]), { median: 7, least: 7, most: 7 });
  });

  it('are shown with three digits', () => {
    assert.equal(show({ median: 1234.5, least: 99.99, most: 0.061234 }), '1235 (100 to 0.0612)');
  });
});
