/**
 * A judge that looks for tastes by rules, and for nothing else. It needs no model and gives the same verdict every
 * time; what it cannot see is whether an answer is right or helpful, and its description says so.
 */
import { showsTaste } from '../../preferences/tastes/markers.ts';
import { TASTES, type Taste } from '../../preferences/tastes/taste.ts';
import type { Judge, Verdict } from './judge.ts';

export class StyleJudge implements Judge {
  readonly name = 'style';
  readonly description: string;
  readonly #tastes: readonly Taste[];

  /** @param tastes what to look for; all four when absent */
  constructor(tastes: readonly Taste[] = TASTES) {
    this.#tastes = tastes;
    this.description =
      `rules that count which of the styles ${tastes.join(', ')} an answer shows on its surface and prefer the one ` +
      'that shows more; blind to whether an answer is correct or helpful';
  }

  compare(_prompt: string, first: string, second: string): Promise<Verdict> {
    const difference = this.#shown(first) - this.#shown(second);
    return Promise.resolve(difference > 0 ? 'first' : difference < 0 ? 'second' : 'tie');
  }

  #shown(answer: string): number {
    return this.#tastes.filter((taste) => showsTaste(taste, answer)).length;
  }
}
