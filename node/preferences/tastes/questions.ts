/**
 * Every plain question about the vault, and who may use it.
 *
 * A question is a goal of a topic in one of several phrasings and circumstances; it asks for no style. The hash of
 * its text puts it into exactly one pool, so that pools are disjoint by prompt whatever the seeds of those who draw
 * from them: the base model never saw a question of the evaluation set, nor did any participant.
 */
import { createHash } from 'node:crypto';
import { TOPICS } from './topics/catalogue.ts';
import type { Aspect, Topic } from './topics/topic.ts';

export interface Question {
  /** The text without `PROMPT_END`. */
  readonly text: string;
  readonly topic: Topic;
  readonly aspect: Aspect;
}

/** What separates a prompt from its answer: every prompt of a pair ends with it. */
export const PROMPT_END = '\n';

const PHRASINGS: readonly ((goal: string) => string)[] = [
  (goal) => `How do I ${goal}?`,
  (goal) => `How can I ${goal}?`,
  (goal) => `What is the best way to ${goal}?`,
  (goal) => `What is a good way to ${goal}?`,
  (goal) => `Can you help me ${goal}?`,
  (goal) => `Help me ${goal}.`,
  (goal) => `I want to ${goal}. Where do I start?`,
  (goal) => `I would like to ${goal}. Any ideas?`,
  (goal) => `I am trying to ${goal}. What works?`,
  (goal) => `I find it hard to ${goal}. What can I change?`,
  (goal) => `What should I do to ${goal}?`,
  (goal) => `Tell me how to ${goal}.`,
  (goal) => `Explain how to ${goal}.`,
  (goal) => `Do you have advice on how to ${goal}?`,
  (goal) => `Which steps help to ${goal}?`,
  (goal) => `What do I need to know to ${goal}?`,
];

const CIRCUMSTANCES = [
  '',
  ' this week',
  ' this month',
  ' this year',
  ' as a beginner',
  ' with little time',
  ' on busy days',
  ' step by step',
  ' without much effort',
  ' in a simple way',
] as const;

/** Shares of the questions, in percent. */
const POOL_SHARES = { corpus: 68, participants: 16, evaluation: 6, root: 5, winRate: 5 } as const;

export type QuestionPool = keyof typeof POOL_SHARES;

/** All questions of a pool, in a fixed order. */
export function questionsOf(pool: QuestionPool): readonly Question[] {
  return pools()[pool];
}

/** The pool that a question's text belongs to. */
export function poolOf(text: string): QuestionPool {
  let rest = createHash('sha256').update(text).digest().readUInt32BE() % 100;
  for (const pool of Object.keys(POOL_SHARES) as QuestionPool[]) {
    if (rest < POOL_SHARES[pool]) return pool;
    rest -= POOL_SHARES[pool];
  }
  throw new RangeError('the shares of the pools do not add up to 100');
}

let cached: Readonly<Record<QuestionPool, readonly Question[]>> | undefined;

function pools(): Readonly<Record<QuestionPool, readonly Question[]>> {
  if (cached !== undefined) return cached;
  const result: Record<QuestionPool, Question[]> = {
    corpus: [],
    participants: [],
    evaluation: [],
    root: [],
    winRate: [],
  };
  for (const question of allQuestions()) result[poolOf(question.text)].push(question);
  cached = result;
  return result;
}

function* allQuestions(): Generator<Question> {
  for (const topic of TOPICS) {
    for (const aspect of topic.aspects) {
      for (const goal of aspect.goals) {
        for (const circumstance of CIRCUMSTANCES) {
          for (const phrase of PHRASINGS) yield { text: phrase(goal + circumstance), topic, aspect };
        }
      }
    }
  }
}
