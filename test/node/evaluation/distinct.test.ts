import assert from 'node:assert/strict';
import { distinct2 } from '../../../node/evaluation/distinct.ts';

describe('distinct-2', () => {
  it('is the share of word pairs that differ from one another', () => {
    // "the cat", "cat the", "the cat", "cat sat": three different of four.
    assert.equal(distinct2(['the cat the cat sat']), 3 / 4);
  });

  it('counts over all answers together, without pairs across them', () => {
    assert.equal(distinct2(['open the note', 'open the note']), 2 / 4);
    assert.equal(distinct2(['a b', 'c d']), 1);
  });

  it('takes case for the same and any whitespace as a boundary', () => {
    assert.equal(distinct2(['Open the\n\nopen  The']), 2 / 3);
  });

  it('nears zero for a model that repeats a phrase', () => {
    assert.equal(distinct2(['no '.repeat(101)]), 1 / 100);
  });

  it('is null where no answer has two words', () => {
    assert.equal(distinct2([]), null);
    assert.equal(distinct2(['', 'yes']), null);
  });
});
