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
}

export const LAYOUT = DEMO_TERMS;

export const SETTING: Setting = {
  participants: 20,
  hostile: 4,
  rounds: 2,
  pairs: 48,
  evaluationPairs: 200,
  training: { ...demoTraining(), batchSize: 2, steps: 2 },
  bits: 24,
};
