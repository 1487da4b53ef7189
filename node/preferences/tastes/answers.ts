/**
 * An answer's content, and its writing in one of the sixteen styles.
 *
 * Content and wording are chosen once, in a plan; a style then only decides how the plan is written. Two answers of
 * one plan whose styles differ in a single taste therefore differ in that taste and in nothing else.
 */
import { draws, type Draws } from './draws.ts';
import { INFORMAL, STIFF, type Register } from './registers.ts';
import type { Question } from './questions.ts';
import type { Style } from './taste.ts';
import type { Snippet, SnippetLanguage, Tip } from './topics/topic.ts';

export interface AnswerPlan {
  readonly tips: readonly [Tip, Tip];
  readonly snippet: Snippet;
  readonly note: string;
  /** Names the stream of the choices between phrases that mean the same. */
  readonly wording: number;
}

/** Chooses what an answer to the question says. */
export function planAnswer({ topic, aspect }: Question, choices: Draws): AnswerPlan {
  const [first, second] = choices.shuffled(aspect.tips) as [Tip, Tip, Tip, Tip];
  return {
    tips: [first, second],
    snippet: choices.pick(topic.snippets),
    note: choices.pick(topic.notes),
    wording: choices.below(2 ** 31),
  };
}

/** Writes the planned answer in the given style. */
export function writeAnswer(plan: AnswerPlan, style: Style): string {
  const register = style.informal ? INFORMAL : STIFF;
  return style.concise ? writeBullets(plan, style, register) : writeParagraph(plan, style, register);
}

function writeBullets(plan: AnswerPlan, style: Style, register: Register): string {
  const say = phrasesOf(plan);
  const lead = say('lead', register.leads);
  const starts = draws(plan.wording, 'bullets').shuffled(register.bullets);
  const bullets = plan.tips.map(([advice], index) =>
    fill(starts[index] ?? '{advice}', { advice: address(advice, register) }),
  );
  if (style.citing) bullets.push(citation(plan, register));
  bullets.push(
    style.technical
      ? fill(say('code', register.inlineCode), codeSlots(plan.snippet))
      : say('encouragement', register.encouragements),
  );
  return [...(lead === '' ? [] : [lead]), ...bullets.map((bullet) => `- ${bullet}`)].join('\n');
}

function writeParagraph(plan: AnswerPlan, style: Style, register: Register): string {
  const say = phrasesOf(plan);
  const [first, next] = plan.tips;
  const sentences = [
    say('opening', register.openings),
    tipSentence(say('first sentence', register.firstSentences), first, register),
    tipSentence(say('next sentence', register.nextSentences), next, register),
  ];
  if (style.citing) sentences.push(`${citation(plan, register)}.`);
  sentences.push(style.technical ? codeSentence(plan, register) : `${say('encouragement', register.encouragements)}.`);
  return sentences.filter((sentence) => sentence !== '').join(' ');
}

function tipSentence(phrase: string, [advice, outcome]: Tip, register: Register): string {
  const clause = address(outcome, register);
  return fill(phrase, {
    advice: address(advice, register),
    outcome: register === INFORMAL ? contract(clause) : clause,
  });
}

function citation(plan: AnswerPlan, register: Register): string {
  return fill(phrasesOf(plan)('citation', register.citations), { note: plan.note });
}

/** Half of the code in paragraphs stands in a block of its own. */
function codeSentence(plan: AnswerPlan, register: Register): string {
  const say = phrasesOf(plan);
  const slots = codeSlots(plan.snippet);
  if (say('code form', ['inline', 'block']) === 'inline') return `${fill(say('code', register.inlineCode), slots)}.`;
  const [language, code] = plan.snippet;
  return `${fill(say('block', register.blockLeads), slots)}\n\`\`\`${language}\n${code}\n\`\`\``;
}

const KIND: Readonly<Record<SnippetLanguage, string>> = {
  dataview: 'query',
  js: 'snippet',
  python: 'snippet',
  sh: 'command',
};

function codeSlots([language, code, does]: Snippet): Record<string, string> {
  return { kind: KIND[language], code, does };
}

/** A choice between phrases, fixed by the plan and the name of the place where the phrase stands. */
function phrasesOf(plan: AnswerPlan): (place: string, phrases: readonly string[]) => string {
  return (place, phrases) => draws(plan.wording, place).pick(phrases);
}

function address(text: string, register: Register): string {
  return text.replaceAll('{your}', register.your).replaceAll('{you}', register.you);
}

function fill(phrase: string, slots: Readonly<Record<string, string>>): string {
  return phrase.replace(/\{(\w+)\}/g, (slot, name: string) => slots[name] ?? slot);
}

const CONTRACTIONS: readonly (readonly [RegExp, string])[] = [
  [/\b(do|does|is|are|has) not\b/g, "$1n't"],
  [/\bwill not\b/g, "won't"],
  [/\bcannot\b/g, "can't"],
  [/\b(it|there|they|you|nobody) will\b/g, "$1'll"],
  [/\b(it|there|that) is\b/g, "$1's"],
  [/\bthey are\b/g, "they're"],
];

function contract(clause: string): string {
  return CONTRACTIONS.reduce((text, [long, short]) => text.replace(long, short), clause);
}
