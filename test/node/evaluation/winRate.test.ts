import assert from 'node:assert/strict';
import type { Judge, Verdict } from '../../../node/evaluation/judges/judge.ts';
import { winRate } from '../../../node/evaluation/winRate.ts';

/** A judge by a rule over the two answers, which notes what it was asked. */
function judgeBy(rule: (first: string, second: string) => Verdict): Judge & { asked: string[] } {
  const asked: string[] = [];
  return {
    name: 'by rule',
    description: 'a rule',
    asked,
    compare(prompt, first, second) {
      asked.push(`${prompt}: ${first} | ${second}`);
      return Promise.resolve(rule(first, second));
    },
  };
}

const longer = (first: string, second: string): Verdict =>
  first.length > second.length ? 'first' : first.length < second.length ? 'second' : 'tie';

const answers = [
  { prompt: 'p1', candidate: 'long one', baseline: 'short' },
  { prompt: 'p2', candidate: 'no', baseline: 'longer' },
  { prompt: 'p3', candidate: 'same length', baseline: 'length same' },
  { prompt: 'p4', candidate: 'equal', baseline: 'equal' },
];

describe('win rate', () => {
  it('asks in both orders and counts a win, a loss and ties', async () => {
    const judge = judgeBy(longer);
    const rate = await winRate(judge, answers);
    assert.deepEqual(
      { value: rate.value, n: rate.n, ties: rate.ties, inconsistent: rate.inconsistent, judge: rate.judge },
      { value: 0.5, n: 4, ties: 2, inconsistent: 0, judge: 'by rule' },
    );
    assert.deepEqual(judge.asked.slice(0, 2), ['p1: long one | short', 'p1: short | long one']);
  });

  it('takes a verdict that changes with the order for a tie and counts it', async () => {
    const rate = await winRate(
      judgeBy(() => 'first'),
      answers,
    );
    assert.equal(rate.value, 0.5);
    assert.equal(rate.ties, 4);
    assert.equal(rate.inconsistent, 3);
  });

  it('takes a verdict and a tie in the other order for inconsistent', async () => {
    const swayed = judgeBy((first) => (first === 'long one' ? 'first' : 'tie'));
    const rate = await winRate(swayed, answers.slice(0, 1));
    assert.deepEqual([rate.ties, rate.inconsistent], [1, 1]);
  });

  it('does not ask about two equal answers', async () => {
    const judge = judgeBy(longer);
    await winRate(judge, answers.slice(3));
    assert.deepEqual(judge.asked, []);
  });

  it('judges as many prompts at once as it is told, each once', async () => {
    let running = 0;
    let most = 0;
    const judge: Judge = {
      name: 'slow',
      description: 'counts',
      async compare(_prompt, first, second) {
        most = Math.max(most, ++running);
        await new Promise((resolve) => setImmediate(resolve));
        running--;
        return longer(first, second);
      },
    };
    const many = Array.from({ length: 20 }, (_, index) => ({ prompt: `${index}`, candidate: 'aa', baseline: 'b' }));
    const done: number[] = [];
    const rate = await winRate(judge, many, { concurrency: 4, onJudged: (count) => done.push(count) });
    assert.equal(most, 4);
    assert.equal(rate.value, 1);
    assert.deepEqual(
      done,
      many.map((_, index) => index + 1),
    );
  });

  it('stops when asked to', async () => {
    const stop = new AbortController();
    const judge = judgeBy((first, second) => {
      stop.abort();
      return longer(first, second);
    });
    await assert.rejects(winRate(judge, answers, { signal: stop.signal }), { name: 'AbortError' });
    assert.equal(judge.asked.length, 2);
  });
});
