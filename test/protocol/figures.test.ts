import assert from 'node:assert/strict';
import { evaluationFiguresSchema, preferenceAccuracy, rootLossPoints } from '../../protocol/figures.ts';
import { exampleFigures } from './exampleFederation.ts';

describe('figures', () => {
  it('count a tie as half a correct pair', () => {
    assert.equal(preferenceAccuracy({ pairs: 8, correct: 5, ties: 2, meanMargin: 0, perplexity: 1 }), 0.75);
  });

  it('give the loss on the root set in percentage points', () => {
    assert.equal(rootLossPoints(exampleFigures(75, 80)), 5.000000000000004);
    assert.ok(rootLossPoints(exampleFigures(80, 75)) < 0);
  });

  it('are refused when more pairs are correct or tied than there are', () => {
    const figures = exampleFigures();
    assert.ok(evaluationFiguresSchema.safeParse(figures).success);
    const root = { ...figures.root, correct: 60, ties: 41 };
    assert.ok(!evaluationFiguresSchema.safeParse({ ...figures, root }).success);
  });
});
