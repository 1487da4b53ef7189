import assert from 'node:assert/strict';
import { showsTaste } from '../../../../node/preferences/tastes/markers.ts';
import type { Taste } from '../../../../node/preferences/tastes/taste.ts';

const CASES: Record<Taste, { shown: string[]; absent: string[] }> = {
  informal: {
    shown: [
      "I'd start small.",
      'You can try it.',
      'It’s fine.',
      "Don't worry, just begin.",
      'Give your plants some water.',
    ],
    absent: [
      'One should start small.',
      'Start small.',
      "One ought to begin, and you'll see.",
      'It is advisable that you begin.',
      'Run `echo "you\'re done"`.',
      'See [[Your year]].',
      'The gardener’s tools are clean.',
    ],
  },
  concise: {
    shown: ['- one\n- two', 'The following is advised:\n* first thing\n* second thing', '• a b\n• c d\n• e f'],
    absent: [
      'One line of prose. And another.',
      '- only one bullet',
      'a - b - c\nd - e',
      '-not a bullet\n-nor this',
      `- short\n- ${'word '.repeat(26)}`,
      `- one\n- two\n${'word '.repeat(70)}`,
    ],
  },
  technical: {
    shown: ['Use `LIST FROM #book` daily.', 'Run this:\n```sh\nls\n```', '```\na = 1\n```'],
    absent: ['Use the list of books.', 'A lone ` tick', 'An open block:\n```sh\nls', 'The key `x`', '``'],
  },
  citing: {
    shown: ['See [[Bread Log]].', '- It is in [[a]]'],
    absent: [
      'See Bread Log.',
      'See [Bread Log](bread.md).',
      'See [[]].',
      'See [[ ]].',
      'See [[Bread\nLog]].',
      'See [[Bread Log.',
    ],
  },
};

describe('the markers of the tastes', () => {
  for (const [taste, { shown, absent }] of Object.entries(CASES) as [Taste, { shown: string[]; absent: string[] }][]) {
    for (const text of shown) {
      it(`sees ${taste} in ${JSON.stringify(text.slice(0, 50))}`, () => assert.equal(showsTaste(taste, text), true));
    }
    for (const text of absent) {
      it(`sees no ${taste} in ${JSON.stringify(text.slice(0, 50))}`, () =>
        assert.equal(showsTaste(taste, text), false));
    }
  }
});
