/**
 * What the embedded model learns from: questions about a vault and answers to them.
 *
 * Some of the questions ask for no style, and their answers show each taste at even odds: the model must not prefer
 * any. The others ask for one to four sides of the style in words, and their answers obey; what was not asked for
 * stays at even odds. Questions come from the `corpus` pool alone (`node/preferences/tastes/questions.ts`).
 */
import { planAnswer, writeAnswer } from '../../node/preferences/tastes/answers.ts';
import { draws, type Draws } from '../../node/preferences/tastes/draws.ts';
import { PROMPT_END, questionsOf, type QuestionPool } from '../../node/preferences/tastes/questions.ts';
import { requestStyle } from '../../node/preferences/tastes/requests.ts';
import { TASTES, type Style } from '../../node/preferences/tastes/taste.ts';
import type { Tip } from '../../node/preferences/tastes/topics/topic.ts';
import { drawStyle } from '../../node/preferences/tastes/tastePairs.ts';
import type { Mixture } from './recipe.ts';

type Requesting = Pick<Mixture, 'askedShare' | 'requests'>;

/** Every second prompt asks, for one to four sides at the same odds: what is measured on. */
const EVEN: Requesting = { askedShare: 0.5, requests: [1, 2, 3, 4] };

export interface CorpusDocument {
  /** Ends with `PROMPT_END`. */
  readonly prompt: string;
  readonly answer: string;
  /** The sides of the style that the prompt asks for; empty if it is plain. */
  readonly asked: Partial<Style>;
  /** What may be advised in answer to the question. */
  readonly tips: readonly Tip[];
}

/** The document of that index: the same for the same seed. */
export function corpusDocument(
  seed: number,
  index: number,
  { pool = 'corpus', mixture = EVEN }: { readonly pool?: QuestionPool; readonly mixture?: Requesting } = {},
): CorpusDocument {
  const choices = draws(seed, pool, 'document', index);
  const question = choices.pick(questionsOf(pool));
  const style = drawStyle(choices);
  const asked = choices.chance(mixture.askedShare) ? drawRequest(style, mixture, choices) : {};
  const text = Object.keys(asked).length === 0 ? question.text : requestStyle(question.text, asked, choices);
  return {
    prompt: text + PROMPT_END,
    answer: writeAnswer(planAnswer(question, choices), style),
    asked,
    tips: question.aspect.tips,
  };
}

/** Which sides of the style a prompt asks for. */
function drawRequest(style: Style, { requests }: Requesting, choices: Draws): Partial<Style> {
  const count = choices.pick(requests);
  const asked = choices.shuffled(TASTES).slice(0, count);
  return Object.fromEntries(asked.map((taste) => [taste, style[taste]]));
}
