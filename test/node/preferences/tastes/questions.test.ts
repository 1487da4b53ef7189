import assert from 'node:assert/strict';
import { poolOf, questionsOf, type QuestionPool } from '../../../../node/preferences/tastes/questions.ts';
import { requestStyle } from '../../../../node/preferences/tastes/requests.ts';
import { draws } from '../../../../node/preferences/tastes/draws.ts';
import { TOPIC_GROUPS, TOPICS } from '../../../../node/preferences/tastes/topics/catalogue.ts';

const POOLS: QuestionPool[] = ['corpus', 'participants', 'evaluation', 'root', 'winRate'];

describe('the topics', () => {
  it('are at least forty, in at least eight groups, each with a name of its own', () => {
    assert.ok(Object.keys(TOPIC_GROUPS).length >= 8);
    assert.ok(TOPICS.length >= 40);
    assert.equal(new Set(TOPICS.map((topic) => topic.name)).size, TOPICS.length);
  });

  it('hold no markup of their own, so that only a style brings code, links and bullets', () => {
    for (const { notes, snippets, aspects } of TOPICS) {
      const prose = [...notes, ...snippets.map(([, , does]) => does), ...aspects.flatMap(({ tips }) => tips.flat())];
      for (const text of prose) assert.doesNotMatch(text, /[`[\]'\n*•-]/, text);
      for (const [, code] of snippets) assert.doesNotMatch(code, /[`\n]|\[\[/, code);
    }
  });

  it('have tips that speak to either register: no bare "you", no contraction', () => {
    for (const tip of TOPICS.flatMap(({ aspects }) => aspects.flatMap(({ tips }) => tips.flat()))) {
      assert.doesNotMatch(tip.replaceAll(/\{your?\}/g, ''), /\byour?\b/i, tip);
    }
  });
});

describe('the questions', () => {
  it('are all different, so that no text stands in two pools', () => {
    const all = POOLS.flatMap((pool) => questionsOf(pool).map(({ text }) => text));
    assert.equal(new Set(all).size, all.length);
    assert.ok(all.length > 20_000);
  });

  it('are dealt into pools by their text alone, close to the shares', () => {
    const shares = { corpus: 0.68, participants: 0.16, evaluation: 0.06, root: 0.05, winRate: 0.05 };
    const total = POOLS.reduce((sum, pool) => sum + questionsOf(pool).length, 0);
    for (const pool of POOLS) {
      for (const { text } of questionsOf(pool)) assert.equal(poolOf(text), pool);
      assert.ok(Math.abs(questionsOf(pool).length / total - shares[pool]) < 0.01, pool);
    }
  });

  it('reach every topic in every pool', () => {
    for (const pool of POOLS)
      assert.equal(new Set(questionsOf(pool).map(({ topic }) => topic.name)).size, TOPICS.length);
  });
});

describe('a request for a style', () => {
  it('joins what is asked for into one sentence before or after the question', () => {
    const requests = new Set<string>();
    for (let index = 0; index < 2000; index++) {
      requests.add(requestStyle('How do I sleep better?', { concise: true, citing: false }, draws('request', index)));
    }
    assert.ok(requests.has('Use bullets and avoid links: how do I sleep better?'));
    assert.ok(requests.has('How do I sleep better? Do not cite notes and be concise.'));
  });

  it('keeps the capital of "I"', () => {
    const texts = Array.from({ length: 40 }, (_, index) =>
      requestStyle('I want to sleep.', { technical: true }, draws(index)),
    );
    assert.ok(texts.some((text) => text.endsWith(': I want to sleep.')));
    assert.ok(texts.every((text) => text.includes('I want to sleep.')));
  });
});
