/** What an aggregation rule is: a pure function from integer updates to one integer update. One rule a file. */
import type { Factor } from '../messages.ts';
import type { FixedPointTensors } from '../tensorBlob.ts';

export interface RuleInputs {
  /** The updates' values, in ascending order of their blobs' hashes; may be read again for another pass. */
  readonly updates: Iterable<Int32Array>;
  /** Number of values of every update. */
  readonly length: number;
  /** The whole adapter that the updates start from: its other factor gives distances between products. */
  readonly parent: FixedPointTensors;
  readonly factor: Factor;
  readonly parameters: Readonly<Record<string, number>>;
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
  /** The aggregated update, in the order of values of its inputs. The same for every order of arrival. */
  readonly aggregate: (inputs: RuleInputs) => Int32Array;
}
