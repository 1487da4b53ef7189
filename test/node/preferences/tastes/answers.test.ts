import assert from 'node:assert/strict';
import { planAnswer, writeAnswer } from '../../../../node/preferences/tastes/answers.ts';
import { draws } from '../../../../node/preferences/tastes/draws.ts';
import { showsTaste } from '../../../../node/preferences/tastes/markers.ts';
import { questionsOf } from '../../../../node/preferences/tastes/questions.ts';
import { INFORMAL, STIFF } from '../../../../node/preferences/tastes/registers.ts';
import { TASTES, type Style } from '../../../../node/preferences/tastes/taste.ts';

const STYLES: Style[] = Array.from({ length: 16 }, (_, bits) => ({
  informal: (bits & 1) > 0,
  concise: (bits & 2) > 0,
  technical: (bits & 4) > 0,
  citing: (bits & 8) > 0,
}));

/** Every eleventh question of the pool: each topic many times. */
const PLANS = questionsOf('winRate')
  .filter((_, index) => index % 11 === 0)
  .map((question, index) => ({ question, plan: planAnswer(question, draws('answers', index)) }));

const words = (text: string): string[] => text.match(/[\p{L}\p{N}']+/gu) ?? [];

describe('answers', () => {
  it('show exactly the tastes of their style, in all sixteen styles', () => {
    for (const { plan } of PLANS) {
      for (const style of STYLES) {
        const answer = writeAnswer(plan, style);
        for (const taste of TASTES) assert.equal(showsTaste(taste, answer), style[taste], `${taste}: ${answer}`);
      }
    }
  });

  it('stay short: bullets under 55 words, paragraphs between 25 and 90', () => {
    for (const { plan } of PLANS) {
      for (const style of STYLES) {
        const count = words(writeAnswer(plan, style)).length;
        if (style.concise) assert.ok(count >= 12 && count <= 55, `${count} words`);
        else assert.ok(count >= 25 && count <= 90, `${count} words`);
      }
    }
  });

  it('give the advice of the question that was asked', () => {
    for (const { question, plan } of PLANS) {
      const [first, second] = plan.tips;
      assert.ok(question.aspect.tips.includes(first) && question.aspect.tips.includes(second));
      assert.notEqual(first, second);
      const stiff = writeAnswer(plan, { informal: false, concise: true, technical: false, citing: false });
      for (const [advice] of plan.tips)
        assert.ok(stiff.includes(advice.replace('{your}', 'the').replace('{you}', 'one')));
    }
  });

  it('keep every other word when only the code or only the citation is dropped', () => {
    for (const { plan } of PLANS) {
      for (const style of STYLES) {
        const cited = writeAnswer(plan, { ...style, citing: true });
        const uncited = writeAnswer(plan, { ...style, citing: false });
        const citation = style.concise ? /- [^\n]*\[\[[^\]]+\]\][^\n]*\n/ : /[^.!`]*\[\[[^\]]+\]\][^.]*\./;
        assert.equal(cited.replace(citation, ''), uncited);

        const plain = writeAnswer(plan, { ...style, technical: false });
        const coded = writeAnswer(plan, { ...style, technical: true });
        const kept = plain.slice(0, plain.lastIndexOf(style.concise ? '\n- ' : '. ') + 1);
        assert.ok(kept.length > 20 && coded.startsWith(kept), `${plain}\n---\n${coded}`);
      }
    }
  });

  it('leave no slot unfilled and no stray space', () => {
    for (const { plan } of PLANS) {
      for (const style of STYLES) {
        const answer = writeAnswer(plan, style);
        assert.doesNotMatch(answer, /\{(your|you|advice|outcome|note|does|kind|code)\}| {2}|^\s|\s$|\.\.|undefined/);
      }
    }
  });
});

describe('the two registers', () => {
  for (const [name, register, isInformal] of [
    ['informal', INFORMAL, true],
    ['stiff', STIFF, false],
  ] as const) {
    it(`mark each ${name} phrase by itself`, () => {
      const { firstSentences, nextSentences, bullets, citations, encouragements, inlineCode, blockLeads } = register;
      for (const phrase of [
        firstSentences,
        nextSentences,
        bullets,
        citations,
        encouragements,
        inlineCode,
        blockLeads,
      ].flat()) {
        const spoken = phrase.replace('`{code}`', '').replace('[[{note}]]', '');
        assert.equal(showsTaste('informal', spoken), isInformal, phrase);
      }
    });
  }

  it('offer as many phrases for each place, so that one choice fits both', () => {
    for (const place of Object.keys(INFORMAL) as (keyof typeof INFORMAL)[]) {
      if (Array.isArray(INFORMAL[place])) assert.equal(INFORMAL[place].length, STIFF[place].length, place);
    }
  });
});
