/**
 * What a server optimiser is: a pure function from a round's aggregated update, and what it remembers of the rounds
 * before, to the update that is applied. One optimiser a file.
 *
 * Arithmetic is float64 in the order written, so that every machine gets the same bits; what is remembered and what is
 * applied are whole numbers at the adapter's own scale, like everything that is hashed.
 */
import type { RuleParameter } from '../aggregation/rule.ts';

/** Numbers that a manifest may set. */
export type OptimizerParameters = Readonly<Record<string, number>>;

export interface OptimizerInputs {
  /** What the rule made of the round's updates. */
  readonly update: Int32Array;
  /** Each of the optimiser's memories of the same values, in the order of `memories`. */
  readonly memories: readonly Int32Array[];
  readonly parameters: OptimizerParameters;
  /** Values are integers times 2^-bits. */
  readonly bits: number;
}

/** Whole numbers, perhaps beyond 32 bits: whoever applies them refuses those. */
export interface OptimizerStep {
  readonly update: Float64Array;
  readonly memories: readonly Float64Array[];
}

/** A vector that is kept from round to round, with one value for each of the adapter's. */
export interface OptimizerMemory {
  readonly name: string;
  /** The value that it has everywhere before the first round. */
  readonly initial: (parameters: OptimizerParameters, bits: number) => number;
}

export interface ServerOptimizer {
  /** One line for people. */
  readonly label: string;
  readonly parameters: readonly RuleParameter[];
  /** Ascending by name. */
  readonly memories: readonly OptimizerMemory[];
  readonly step: (inputs: OptimizerInputs) => OptimizerStep;
}

export const LEARNING_RATE = { name: 'learningRate', min: 1e-6, max: 10 } as const;
export const MOMENTUM = { name: 'momentum', min: 0, max: 0.999 } as const;
export const NOTHING = (): number => 0;
