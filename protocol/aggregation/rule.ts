/** What an aggregation rule is: a pure function from integer updates to one integer update. One rule a file. */
import type { ErrorCode } from '../errors.ts';
import type { Factor } from '../messages.ts';
import type { Sha256 } from '../names.ts';
import type { FixedPointTensors, TensorShape } from '../tensorBlob.ts';

export interface RuleInputs {
  /** The updates' values, in ascending order of their blobs' hashes; may be read again for another pass. */
  readonly updates: Iterable<Int32Array>;
  /** How many there are. */
  readonly count: number;
  /** Number of values of every update. */
  readonly length: number;
  /** The tensors of every update. */
  readonly table: readonly TensorShape[];
  /** The whole adapter that the updates start from: its other factor gives distances between products. */
  readonly parent: FixedPointTensors;
  readonly factor: Factor;
  /** SHA-256 over the hashes of all updates: where a rule that needs chance takes it from. */
  readonly seed: Sha256;
  readonly parameters: Readonly<Record<string, number>>;
}

export interface RuleResult {
  /** The aggregated update, in the order of values of the inputs. */
  readonly values: Int32Array;
  /** Accepted updates that the rule gave no say, by their place among the inputs, and why. */
  readonly leftOut?: ReadonlyMap<number, ErrorCode>;
  /** Share of the squared singular values of the mean that did not fit the rank, in [0, 1]. */
  readonly truncatedEnergy?: number;
}

/** A number that a manifest may set for a rule. */
export interface RuleParameter {
  readonly name: string;
  readonly min: number;
  readonly max: number;
  readonly default: number;
}

export interface AggregationRule {
  /** One line for people: what it computes, and a warning if it needs one. */
  readonly label: string;
  /** The factor that a round trains and sends. */
  readonly factorOf: (round: number) => Factor;
  readonly parameters: readonly RuleParameter[];
  /** Fewest updates that it can combine; also with more it never refuses. */
  readonly fewest: (parameters: Readonly<Record<string, number>>) => number;
  /** The same for every order of arrival. */
  readonly aggregate: (inputs: RuleInputs) => RuleResult;
}

/** B in odd rounds, A in even ones: see `alternating.ts`. */
export function alternatingFactor(round: number): Factor {
  return round % 2 === 1 ? 'B' : 'A';
}

/** One is enough. */
export const one = (): number => 1;
