/**
 * How good an adapter is on the global sets: preference accuracy and perplexity on the evaluation pairs, and the win
 * rate of its answers over the base model's to questions it has not seen. Used for every row of the demo's table and
 * of the study's.
 */
import { answerPrompts } from '../../node/evaluation/answers.ts';
import type { Judge } from '../../node/evaluation/judges/judge.ts';
import { StyleJudge } from '../../node/evaluation/judges/style.ts';
import { preferenceFigures, type PreferenceFigures } from '../../node/evaluation/preferenceAccuracy.ts';
import { winRate, type WinRate } from '../../node/evaluation/winRate.ts';
import type { Checkpoint } from '../../node/model/checkpoint.ts';
import type { Tokenizer } from '../../node/model/tokenizer.ts';
import type { TastePair } from '../../node/preferences/tastes/tastePairs.ts';
import type { Adapter } from '../../node/training/adapter.ts';
import type { PairLogProbs, Policy, TokenizedPair } from '../../node/training/policy.ts';
import { tokenizePairs } from '../../node/training/tokenization.ts';
import { DEMO_SETS, DEMO_TERMS } from './plan.ts';

export interface Assessment {
  readonly preferences: PreferenceFigures;
  readonly winRate: WinRate;
}

export interface AssessorInit {
  readonly checkpoint: Checkpoint;
  readonly tokenizer: Tokenizer;
  /** Of the layout and scale of the adapters to assess. */
  readonly policy: Policy;
  readonly evaluation: readonly TastePair[];
  readonly prompts: readonly string[];
  readonly threads?: number;
  readonly signal?: AbortSignal;
}

export class Assessor {
  readonly judge: Judge = new StyleJudge();
  readonly #init: AssessorInit;
  readonly #pairs: readonly TokenizedPair[];
  readonly #tastes: readonly string[];
  readonly #reference: PairLogProbs;
  readonly #baseAnswers: readonly string[];

  private constructor(
    init: AssessorInit,
    pairs: readonly TokenizedPair[],
    reference: PairLogProbs,
    baseAnswers: readonly string[],
  ) {
    this.#init = init;
    this.#pairs = pairs;
    const tastes = new Map(init.evaluation.map(({ id, metadata }) => [id, metadata.taste]));
    this.#tastes = pairs.map(({ id }) => tastes.get(id)!);
    this.#reference = reference;
    this.#baseAnswers = baseAnswers;
  }

  /** Scores and answers everything once with the bare base, which all adapters are compared with. */
  static async open(init: AssessorInit): Promise<Assessor> {
    const { tokenizer, policy, evaluation, signal } = init;
    const { pairs } = tokenizePairs(tokenizer, evaluation, { maxLength: DEMO_TERMS.maxLength });
    const reference = await policy.logProbs(pairs, null, signal && { signal });
    return new Assessor(init, pairs, reference, await answer(init, null));
  }

  /** The figures of an adapter; null is the base itself, which ties with itself everywhere. */
  async assess(adapter: Adapter | null): Promise<Assessment> {
    const { policy, prompts, signal } = this.#init;
    const base = adapter === null;
    const candidate = base ? this.#reference : await policy.logProbs(this.#pairs, adapter.vector, signal && { signal });
    const answers = base ? this.#baseAnswers : await answer(this.#init, adapter);
    const answerPairs = prompts.map((prompt, index) => ({
      prompt,
      candidate: answers[index]!,
      baseline: this.#baseAnswers[index]!,
    }));
    return {
      preferences: preferenceFigures(candidate, this.#reference, DEMO_TERMS.beta, {
        groups: this.#tastes,
        ids: this.#pairs.map(({ id }) => id),
      }),
      winRate: await winRate(this.judge, answerPairs, signal && { signal }),
    };
  }
}

function answer(init: AssessorInit, adapter: Adapter | null): Promise<string[]> {
  const { checkpoint, tokenizer, prompts, threads, signal } = init;
  return answerPrompts({ checkpoint, tokenizer, adapter, ...(threads !== undefined && { threads }) }, prompts, {
    maxTokens: DEMO_SETS.answerTokens,
    temperature: DEMO_SETS.answerTemperature,
    ...(signal && { signal }),
  });
}
