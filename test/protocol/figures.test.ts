import assert from 'node:assert/strict';
import { evaluationFiguresSchema, rootLossPoints } from '../../protocol/figures.ts';
import { exampleFigures } from './exampleFederation.ts';

describe('figures', () => {
  it('give the loss on the root set in percentage points', () => {
    for (let parent = 0; parent <= 100; parent++) {
      for (const loss of [-2, 0, 2]) {
        if (parent - loss < 0 || parent - loss > 100) continue;
        assert.equal(rootLossPoints(exampleFigures(parent - loss, parent)), loss, `${parent}`);
      }
    }
    const { root } = exampleFigures();
    const figures = {
      ...exampleFigures(),
      root: { ...root, correct: 70, ties: 1 },
      rootParent: { ...root, correct: 71 },
    };
    assert.equal(rootLossPoints(figures), 0.5);
  });

  it('are refused when more pairs are correct or tied than there are', () => {
    const figures = exampleFigures();
    assert.ok(evaluationFiguresSchema.safeParse(figures).success);
    const root = { ...figures.root, correct: 60, ties: 41 };
    assert.ok(!evaluationFiguresSchema.safeParse({ ...figures, root }).success);
  });

  it('are refused when the adapter and its parent were measured on root sets of different sizes', () => {
    const figures = exampleFigures();
    const rootParent = { ...figures.rootParent, pairs: 99 };
    assert.ok(!evaluationFiguresSchema.safeParse({ ...figures, rootParent }).success);
  });
});
