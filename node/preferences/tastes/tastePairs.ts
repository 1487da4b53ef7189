/**
 * The demo's preference pairs: each participant's private ones, and the two global sets.
 *
 * In a pair of a taste, chosen and rejected say the same in the same words, except that only the chosen answer has
 * the taste; the other three tastes are drawn at random, equal on both sides. Everything follows from the seed.
 */
import { PrefmeshError } from '../../../protocol/errors.ts';
import type { PreferencePair } from '../pairs.ts';
import { planAnswer, writeAnswer } from './answers.ts';
import { draws, type Draws } from './draws.ts';
import { PROMPT_END, questionsOf, type Question } from './questions.ts';
import { TASTES, type Style, type Taste } from './taste.ts';
import { TOPICS } from './topics/catalogue.ts';

/** A preference pair as `pairs.jsonl` holds it. The prompt ends with `PROMPT_END`. */
export interface TastePair extends PreferencePair {
  readonly prompt: string;
  readonly metadata: { readonly taste: Taste; readonly topic: string };
}

export interface ParticipantPairsOptions {
  readonly seed: number;
  /** Index of this participant, from 0. */
  readonly participant: number;
  /** Participants in all: the topics are dealt out among them, at most one participant a topic. */
  readonly participants: number;
  readonly count: number;
  /** Default: the tastes in turn, by the participant's index. */
  readonly mainTaste?: Taste;
  /** Share of the pairs that show the main taste, 0 to 1; the other tastes share the rest equally. Default 0.9. */
  readonly share?: number;
}

/**
 * One participant's private pairs, about its own topics, mostly of one taste.
 *
 * @throws USAGE when its topics have fewer questions than `count`
 */
export function makeParticipantPairs(options: ParticipantPairsOptions): TastePair[] {
  const { seed, participant, participants, count, share = 0.9 } = options;
  const mainTaste = options.mainTaste ?? (TASTES[participant % TASTES.length] as Taste);
  const own = new Set(topicsOf(options));
  const choices = draws(seed, 'participant', participant, participants);
  const questions = take(
    choices.shuffled(questionsOf('participants').filter(({ topic }) => own.has(topic.name))),
    count,
    `participant ${participant} of ${participants}`,
  );
  const others = TASTES.filter((taste) => taste !== mainTaste);
  const mainCount = Math.round(count * share);
  const tastes = choices.shuffled(
    Array.from({ length: count }, (_, index) =>
      index < mainCount ? mainTaste : (others[(index - mainCount) % others.length] as Taste),
    ),
  );
  return questions.map((question, index) =>
    makePair(`participant-${participant}-${index}`, question, tastes[index] as Taste, choices),
  );
}

/** Names of the topics that a participant's pairs are about: disjoint between participants of one seed. */
export function topicsOf({
  seed,
  participant,
  participants,
}: Pick<ParticipantPairsOptions, 'seed' | 'participant' | 'participants'>): string[] {
  if (!(participants <= TOPICS.length && participant >= 0 && participant < participants)) {
    throw new PrefmeshError('USAGE', {
      problem: `participant ${participant} of ${participants} has no topic of its own`,
      hint: `use 1 to ${TOPICS.length} participants, numbered from 0`,
    });
  }
  return draws(seed, 'topics')
    .shuffled(TOPICS)
    .filter((_, position) => position % participants === participant)
    .map((topic) => topic.name);
}

/**
 * A global set about all topics, the four tastes in equal parts: `evaluation` is reported, `root` gates promotion.
 *
 * @throws USAGE when there are fewer questions than `count`
 */
export function makeGlobalSet({
  seed,
  purpose,
  count,
}: {
  readonly seed: number;
  readonly purpose: 'evaluation' | 'root';
  readonly count: number;
}): TastePair[] {
  const choices = draws(seed, purpose);
  const questions = take(choices.shuffled(questionsOf(purpose)), count, `the ${purpose} set`);
  return questions.map((question, index) =>
    makePair(`${purpose}-${index}`, question, TASTES[index % TASTES.length] as Taste, choices),
  );
}

/**
 * Prompts for the win rate: questions that occur in no pair and not in the base model's corpus.
 *
 * @throws USAGE when there are fewer questions than `count`
 */
export function makePrompts({ seed, count }: { readonly seed: number; readonly count: number }): string[] {
  const questions = take(draws(seed, 'winRate').shuffled(questionsOf('winRate')), count, 'the win rate');
  return questions.map(({ text }) => text + PROMPT_END);
}

function makePair(id: string, question: Question, taste: Taste, choices: Draws): TastePair {
  const plan = planAnswer(question, choices);
  const style = drawStyle(choices);
  return {
    id,
    prompt: question.text + PROMPT_END,
    chosen: writeAnswer(plan, { ...style, [taste]: true }),
    rejected: writeAnswer(plan, { ...style, [taste]: false }),
    metadata: { taste, topic: question.topic.name },
  };
}

/** A style with every taste present or absent at even odds, independently. */
export function drawStyle(choices: Draws): Style {
  return { informal: choices.coin(), concise: choices.coin(), technical: choices.coin(), citing: choices.coin() };
}

function take(questions: readonly Question[], count: number, purpose: string): readonly Question[] {
  if (count <= questions.length) return questions.slice(0, count);
  throw new PrefmeshError('USAGE', {
    problem: `${purpose} has ${questions.length} different questions, fewer than the ${count} asked for`,
    hint: `ask for at most ${questions.length}`,
  });
}
