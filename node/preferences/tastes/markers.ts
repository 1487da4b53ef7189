/**
 * What shows a taste in a text: rules that anyone can check by reading, used by the `style` judge.
 *
 * They look at the surface only. They do not know whether an answer is right, helpful or well written.
 */
import type { Taste } from './taste.ts';

/** Contractions, and "you" in its forms. */
const CASUAL = /\b(?:\w+n't|\w+'(?:ll|re|ve|d|m)|(?:it|that|there|here|what|let)'s|you|your|yours|yourself)\b/i;

/** Turns of phrase of a formal letter. */
const STIFF = new RegExp(
  [
    String.raw`\bone (?:should|ought|may|might|must|can)\b`,
    String.raw`\bit is (?:likewise |also )?(?:advisable|recommended|prudent|preferable|advised)\b`,
    String.raw`\b(?:furthermore|moreover|hence|thereby|whereby)\b`,
    String.raw`\b(?:is|are) (?:advised|recommended|preferable|sufficient|acceptable|required)\b`,
    String.raw`\bmay be \w+ed\b`,
    String.raw`\bserves to\b`,
    String.raw`\bfor particulars\b`,
    String.raw`\bwith the result that\b`,
  ].join('|'),
  'i',
);

const BULLET = /^\s*[-*•] \S/;
const FENCED_CODE = /```[^\n`]*\n[^`]+```/;
const INLINE_CODE = /`[^`\n]{3,}`/;
const CITATION = /\[\[[^[\]\n]*[^[\]\s][^[\]\n]*\]\]/;

const CONCISE_MOST_WORDS = 70;
const BULLET_MOST_WORDS = 25;

/**
 * Whether a text shows a taste.
 *
 * - `informal`: at least one contraction or form of "you", and no turn of phrase of a formal letter; code and note
 *   titles do not count
 * - `concise`: at least two lines that begin with a bullet, each of at most 25 words, and at most 70 words in all
 * - `technical`: a closed block of code, or at least three characters of code within a line
 * - `citing`: a link to a note by its title, `[[…]]`
 */
export function showsTaste(taste: Taste, text: string): boolean {
  switch (taste) {
    case 'informal': {
      const prose = proseOf(text);
      return CASUAL.test(prose) && !STIFF.test(prose);
    }
    case 'concise': {
      const bullets = text.split('\n').filter((line) => BULLET.test(line));
      return (
        bullets.length >= 2 &&
        bullets.every((bullet) => wordCount(bullet) <= BULLET_MOST_WORDS) &&
        wordCount(text) <= CONCISE_MOST_WORDS
      );
    }
    case 'technical':
      return FENCED_CODE.test(text) || INLINE_CODE.test(text);
    case 'citing':
      return CITATION.test(text);
  }
}

/** The text without code and links, with straight apostrophes. */
function proseOf(text: string): string {
  return text
    .replaceAll(/```[\s\S]*?(?:```|$)/g, ' ')
    .replaceAll(/`[^`\n]*`/g, ' ')
    .replaceAll(/\[\[[^\]\n]*\]\]/g, ' ')
    .replaceAll('’', "'");
}

function wordCount(text: string): number {
  return text.match(/[\p{L}\p{N}]+(?:['’][\p{L}]+)?/gu)?.length ?? 0;
}
