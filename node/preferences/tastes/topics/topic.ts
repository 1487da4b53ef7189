/**
 * What a topic of the vault holds, as plain facts without any style. The answers' style is added by `../answers.ts`.
 *
 * Tips are verb phrases that fit after "one should" and "you'll want to" alike. `{your}` becomes "your" or "the",
 * `{you}` becomes "you" or "one", by register; a modal verb follows `{you}`, so that both agree.
 */

/** What to do (a verb phrase), and what comes of it (a clause that fits after "so that"). */
export type Tip = readonly [advice: string, outcome: string];

export type SnippetLanguage = 'dataview' | 'js' | 'python' | 'sh';

/** One line of code, and what it does (a verb phrase that fits after "to"). */
export type Snippet = readonly [language: SnippetLanguage, code: string, does: string];

export interface Aspect {
  /** Ways to name the aim in a question: verb phrases that fit after "How do I". */
  readonly goals: readonly [string, string];
  readonly tips: readonly [Tip, Tip, Tip, Tip];
}

export interface Topic {
  readonly name: string;
  /** Titles of the notes that the vault has about it. */
  readonly notes: readonly [string, string];
  readonly snippets: readonly [Snippet, Snippet];
  readonly aspects: readonly [Aspect, Aspect];
}
