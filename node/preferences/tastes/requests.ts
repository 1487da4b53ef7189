/** Questions that ask for a style in words; only the base model's corpus has them, the pairs never do. */
import type { Draws } from './draws.ts';
import { TASTES, type Style, type Taste } from './taste.ts';

/** Ways to ask for a taste, and for its opposite: verb phrases in the imperative. */
const REQUESTS: Readonly<Record<Taste, { readonly shown: readonly string[]; readonly absent: readonly string[] }>> = {
  informal: {
    shown: ['keep it informal', 'be informal', 'be friendly', 'write casually', 'keep it casual', 'talk like a friend'],
    absent: ['keep it formal', 'be formal', 'write formally', 'use a formal tone', 'use formal language', 'be stiff'],
  },
  concise: {
    shown: [
      'use bullets',
      'answer in bullets',
      'use bullet points',
      'give me a short list',
      'make it a list',
      'be concise',
    ],
    absent: [
      'write a paragraph',
      'answer in full sentences',
      'avoid bullets',
      'do not use a list',
      'do not use bullets',
      'answer in one paragraph',
    ],
  },
  technical: {
    shown: ['include code', 'show some code', 'add a snippet', 'add code', 'give me some code', 'be technical'],
    absent: ['leave out code', 'do not show code', 'avoid code', 'do not use code', 'skip the code', 'keep it general'],
  },
  citing: {
    shown: ['cite my notes', 'link my notes', 'cite a note', 'link a note', 'point to my notes', 'name a note'],
    absent: [
      'do not cite notes',
      'leave out links',
      'avoid links',
      'do not link notes',
      'do not name notes',
      'skip the links',
    ],
  },
};

/** The question together with a request for the wanted sides of its style, before or after it. */
export function requestStyle(question: string, wanted: Partial<Style>, choices: Draws): string {
  const asked = choices
    .shuffled(TASTES.filter((taste) => wanted[taste] !== undefined))
    .map((taste) => choices.pick(wanted[taste] === true ? REQUESTS[taste].shown : REQUESTS[taste].absent));
  const request = capitalise(joinWithAnd(asked));
  return choices.coin() ? `${request}: ${uncapitalise(question)}` : `${question} ${request}.`;
}

function joinWithAnd(parts: readonly string[]): string {
  if (parts.length < 2) return parts.join('');
  return `${parts.slice(0, -1).join(', ')} and ${parts.at(-1)}`;
}

function capitalise(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}

function uncapitalise(text: string): string {
  return text.startsWith('I ') ? text : text.charAt(0).toLowerCase() + text.slice(1);
}
