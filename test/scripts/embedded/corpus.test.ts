import assert from 'node:assert/strict';
import { showsTaste } from '../../../node/preferences/tastes/markers.ts';
import { poolOf } from '../../../node/preferences/tastes/questions.ts';
import { TASTES } from '../../../node/preferences/tastes/taste.ts';
import { corpusDocument } from '../../../scripts/embedded/corpus.ts';

describe('the corpus of the embedded model', () => {
  const documents = Array.from({ length: 6000 }, (_, index) => corpusDocument(11, index));
  const plain = documents.filter(({ asked }) => Object.keys(asked).length === 0);

  it('asks for a style in about half of its prompts, and every answer obeys', () => {
    assert.ok(Math.abs(plain.length / documents.length - 0.5) < 0.03);
    for (const { asked, answer } of documents) {
      for (const taste of TASTES) {
        if (asked[taste] !== undefined) assert.equal(showsTaste(taste, answer), asked[taste]);
      }
    }
  });

  it('is indifferent where nothing is asked: each taste at even odds, whatever the others are', () => {
    for (const taste of TASTES) {
      const shown = plain.filter(({ answer }) => showsTaste(taste, answer));
      assert.ok(Math.abs(shown.length / plain.length - 0.5) < 0.04, taste);
      for (const other of TASTES.filter((name) => name !== taste)) {
        const both = shown.filter(({ answer }) => showsTaste(other, answer)).length;
        assert.ok(Math.abs(both / shown.length - 0.5) < 0.06, `${other} among ${taste}`);
      }
    }
  });

  it('uses no question of another pool', () => {
    for (const { prompt } of plain) assert.equal(poolOf(prompt.slice(0, -1)), 'corpus');
  });

  it('is the same for the same seed', () => {
    assert.deepEqual(corpusDocument(11, 5), documents[5]);
    assert.notDeepEqual(corpusDocument(12, 5), documents[5]);
  });
});
