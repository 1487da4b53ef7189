import assert from 'node:assert/strict';
import { preferenceFigures, preferenceMargins } from '../../../node/evaluation/preferenceAccuracy.ts';
import { isPrefmeshError } from '../../../protocol/errors.ts';

const reference = { chosen: [-10, -20, -30, -40], rejected: [-11, -19, -33, -44], chosenTokens: [5, 10, 15, 20] };
// Rewards against the reference: chosen +1, +2, 0, -3; rejected 0, +3, 0, -5.
const candidate = { chosen: [-9, -18, -30, -43], rejected: [-11, -16, -33, -49], chosenTokens: [5, 10, 15, 20] };

describe('preference figures', () => {
  it('hold the margin of each pair in nats times beta', () => {
    assert.deepEqual([...preferenceMargins(candidate, reference, 0.5)], [0.5, -0.5, 0, 1]);
  });

  it('count a margin above zero as correct, zero as half and apart', () => {
    const { accuracy, meanMargin, medianMargin } = preferenceFigures(candidate, reference, 0.5);
    assert.equal(accuracy.value, 2.5 / 4);
    assert.equal(accuracy.n, 4);
    assert.equal(accuracy.ties, 1);
    assert.equal(meanMargin, 0.25);
    assert.equal(medianMargin, 0.25);
  });

  it('measure against the reference, not by which answer is likelier', () => {
    // The last pair: chosen is the likelier answer by far, and became less so than before.
    const worse = { ...reference, chosen: [-10, -20, -30, -42.5] };
    assert.equal(preferenceFigures(worse, reference, 0.1).accuracy.value, 1.5 / 4);
  });

  it('are all ties for the reference itself', () => {
    const { accuracy, perplexity, basePerplexity } = preferenceFigures(reference, reference, 0.1);
    assert.equal(accuracy.value, 0.5);
    assert.equal(accuracy.ties, 4);
    assert.equal(perplexity, basePerplexity);
  });

  it('give the perplexity of chosen answers per token, pooled over pairs', () => {
    const figures = preferenceFigures(candidate, reference, 0.1);
    assert.ok(Math.abs(figures.perplexity - Math.exp(100 / 50)) < 1e-12);
    assert.ok(Math.abs(figures.basePerplexity - Math.exp(100 / 50)) < 1e-12);
    const longer = { ...candidate, chosen: [-9, -18, -30, -93] };
    assert.ok(Math.abs(preferenceFigures(longer, reference, 0.1).perplexity - Math.exp(150 / 50)) < 1e-12);
  });

  it('break the accuracy down by group, in order of first appearance', () => {
    const groups = ['citing', 'concise', 'citing', 'concise'];
    const { byGroup = {} } = preferenceFigures(candidate, reference, 0.1, { groups });
    assert.deepEqual(Object.keys(byGroup), ['citing', 'concise']);
    assert.deepEqual([byGroup.citing?.value, byGroup.citing?.ties, byGroup.citing?.n], [0.75, 1, 2]);
    assert.deepEqual([byGroup.concise?.value, byGroup.concise?.ties, byGroup.concise?.n], [0.5, 0, 2]);
  });

  it('are refused when a log-probability is not finite, naming the pair', () => {
    const broken = { ...candidate, rejected: [-11, -16, Number.NaN, -49] };
    assert.throws(
      () => preferenceFigures(broken, reference, 0.1, { ids: ['a', 'b', 'c', 'd'] }),
      (error) => isPrefmeshError(error, 'LOG_PROBS_NOT_FINITE') && error.details.id === 'c',
    );
  });

  it('are refused when the two sides are not of the same pairs', () => {
    const short = { chosen: [-1], rejected: [-1], chosenTokens: [1] };
    assert.throws(() => preferenceFigures(short, reference, 0.1), RangeError);
  });
});
