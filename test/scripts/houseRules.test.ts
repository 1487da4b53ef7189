import assert from 'node:assert/strict';
import { houseRuleViolations } from '../../scripts/house-rules.ts';

const linesOf = (file: string, text: string) =>
  houseRuleViolations(new Map([[file, text]])).map(({ line, message }) => `${line} ${message.split(';')[0]}`);

describe('house rules', () => {
  it('find nothing in a file that keeps them', () => {
    const text = "import { a } from './a.ts';\n\nexport const b = a;\n";
    assert.deepEqual(linesOf('node/model/b.ts', text), []);
  });

  it('refuse a file or folder name that names no subject', () => {
    assert.deepEqual(linesOf('node/utils.ts', ''), ["0 'utils' names no subject"]);
    assert.deepEqual(linesOf('test/helpers/peers.ts', ''), ["0 'helpers' names no subject"]);
    assert.deepEqual(linesOf('node/common.test.ts', ''), ["0 'common' names no subject"]);
    assert.deepEqual(linesOf('node/commonMode.ts', ''), []);
  });

  it('refuse a top-level folder that is no room', () => {
    assert.match(linesOf('src/a.ts', '')[0] ?? '', /top-level folders are protocol, node/);
    assert.deepEqual(linesOf('README.md', ''), []);
  });

  it('refuse an unfinished note, by line', () => {
    const note = `const a = 1;\n// ${'TO' + 'DO'}: more\n`;
    assert.deepEqual(linesOf('node/a.ts', note), ['2 finish it, or open an issue and take the note out']);
  });

  it('refuse an exclusive or a silently skipped test', () => {
    assert.equal(linesOf('test/a.test.ts', `it.${'only'}('x', () => {});`).length, 1);
    assert.equal(linesOf('test/a.test.ts', `it.${'skip'}('x', () => {});`).length, 1);
  });

  it('refuse a default export', () => {
    assert.deepEqual(linesOf('node/a.ts', 'export default 1;'), ['1 export it by name']);
  });

  it('refuse a clock or randomness in protocol, and nowhere else', () => {
    for (const call of ['Date.now()', 'new Date()', 'Math.random()', 'randomBytes(8)']) {
      assert.equal(linesOf('protocol/a.ts', `const a = ${call};`).length, 1, call);
      assert.equal(linesOf('node/a.ts', `const a = ${call};`).length, 0, call);
    }
  });

  it('refuse a relative import that does not name its file', () => {
    assert.equal(linesOf('node/a.ts', "import { b } from './b';").length, 1);
    assert.equal(linesOf('node/a.ts', "import { b } from 'commander';").length, 0);
  });
});
