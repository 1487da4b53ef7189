/**
 * The four tastes of the demo: yes-or-no sides of an answer's style, each independent of the others.
 *
 * - `informal`: contractions and "you", rather than stiff ("One should …")
 * - `concise`: a few short bullets, rather than a paragraph of full sentences
 * - `technical`: a snippet of code, rather than general encouragement
 * - `citing`: a `[[note]]` of the vault, rather than no source
 */
export const TASTES = ['informal', 'concise', 'technical', 'citing'] as const;

export type Taste = (typeof TASTES)[number];

/** One of the sixteen ways to write an answer. */
export type Style = Readonly<Record<Taste, boolean>>;
