import assert from 'node:assert/strict';
import { StyleJudge } from '../../../../node/evaluation/judges/style.ts';
import { TASTES } from '../../../../node/preferences/tastes/taste.ts';

const plain = 'One should keep the notes in a single folder. It is advisable to review them.';
const informal = "Don't worry, keep your notes in one folder.";
const citing = 'One should keep the notes in a single folder, see [[Folder layout]].';
const allFour = "Here's what you can do:\n- Use `TABLE file.name`\n- Don't skip [[Folder layout]]";

describe('the style judge', () => {
  it('prefers the answer that shows more of the tastes, in either order', async () => {
    const judge = new StyleJudge();
    assert.equal(await judge.compare('', allFour, citing), 'first');
    assert.equal(await judge.compare('', citing, allFour), 'second');
    assert.equal(await judge.compare('', plain, informal), 'second');
  });

  it('calls a tie where both show as many, whichever they are', async () => {
    assert.equal(await new StyleJudge().compare('', informal, citing), 'tie');
    assert.equal(await new StyleJudge().compare('', plain, plain), 'tie');
  });

  it('looks only for the tastes it was asked to look for', async () => {
    assert.equal(await new StyleJudge(['citing']).compare('', informal, citing), 'second');
    assert.equal(await new StyleJudge(['informal']).compare('', informal, citing), 'first');
  });

  it('says what it looks for and what it is blind to', () => {
    const { name, description } = new StyleJudge();
    assert.equal(name, 'style');
    for (const taste of TASTES) assert.ok(description.includes(taste));
    assert.match(description, /blind to whether an answer is correct or helpful/);
  });
});
