/**
 * A judge says which of two answers to a prompt is the better one. It sees them in a given order and may be swayed by
 * it; `winRate` asks in both orders.
 */

export type Verdict = 'first' | 'second' | 'tie';

export interface JudgeOptions {
  readonly signal?: AbortSignal;
}

export interface Judge {
  /** The name that stands beside every figure this judge made. */
  readonly name: string;
  /** One sentence for people: what this judge looks for, and what its figures therefore do not show. */
  readonly description: string;
  compare(prompt: string, first: string, second: string, options?: JudgeOptions): Promise<Verdict>;
}
