import assert from 'node:assert/strict';
import { chooseToken } from '../../../node/model/sampling.ts';
import { RandomStream } from '../../../node/training/randomStream.ts';

const never = (): number => assert.fail('greedy choice draws nothing');

describe('the choice of a token', () => {
  it('takes the first of the highest at temperature 0', () => {
    assert.equal(chooseToken(Float32Array.of(1, 3, 3, 2), { temperature: 0, topP: 1 }, never), 1);
  });

  it('draws in proportion to exp(logit / temperature)', () => {
    const random = new RandomStream(1, 'draws');
    const logits = Float32Array.of(0, Math.log(4), 0);
    const counts = [0, 0, 0];
    for (let i = 0; i < 20_000; i++)
      counts[chooseToken(logits, { temperature: 2, topP: 1 }, () => random.uniform())]!++;
    // At temperature 2 the odds are 1 : 2 : 1.
    for (const [i, share] of [0.25, 0.5, 0.25].entries()) assert.ok(Math.abs(counts[i]! / 20_000 - share) < 0.02);
  });

  it('draws only from the likeliest tokens that reach top-p', () => {
    const logits = Float32Array.from([0.1, 0.5, 0.4], Math.log);
    const choose = (topP: number, at: number): number => chooseToken(logits, { temperature: 1, topP }, () => at);
    assert.equal(choose(0.45, 0.999), 1);
    assert.equal(choose(0.85, 0.999), 2);
    assert.equal(choose(0.85, 0.5), 1);
    assert.equal(choose(0.95, 0.999), 0);
  });
});
