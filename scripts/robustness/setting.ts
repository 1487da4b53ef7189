/** The federation that is attacked, in numbers. The page with the table says why they are these. */
import { DEMO_TERMS, demoTraining } from '../../aggregator/demo/plan.ts';
import type { Manifest } from '../../protocol/manifest.ts';

export interface Setting {
  readonly participants: number;
  /** The last ones of them; with as many as there are tastes, one of each taste. */
  readonly hostile: number;
  readonly rounds: number;
  /** Pairs of each participant. */
  readonly pairs: number;
  readonly evaluationPairs: number;
  readonly training: Manifest['training'];
  readonly bits: number;
  /** Longest update, L2 in units of the weights. */
  readonly normBound: number;
}

export const LAYOUT = DEMO_TERMS;

export const SETTING: Setting = {
  participants: 20,
  hostile: 4,
  rounds: 2,
  pairs: 48,
  evaluationPairs: 200,
  training: { ...demoTraining(), batchSize: 4, steps: 4 },
  bits: 24,
  /** Nearly twice what a manifest has by default for these terms, 2.54: attackers have more room than they need be given. */
  normBound: 5,
};
