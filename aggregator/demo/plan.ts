/**
 * What the demo does, in numbers, and the pairs it does it with.
 *
 * Each participant likes mostly one of the four tastes and asks about its own topics; the two global sets cover all
 * tastes and topics with prompts that nobody trains on. So a participant alone can learn a quarter of what is asked.
 */
import type { Manifest } from '../../protocol/manifest.ts';
import type { TargetModule } from '../../node/training/adapterVector.ts';
import {
  makeGlobalSet,
  makeParticipantPairs,
  makePrompts,
  type TastePair,
} from '../../node/preferences/tastes/tastePairs.ts';

/** The size of a demonstration. Everything else about it is fixed below. */
export interface DemoSize {
  readonly participants: number;
  readonly rounds: number;
  readonly seed: number;
}

/** The plain mean: everybody in the demo is honest, and it may have as few as two participants. */
export const DEMO_RULE = 'alternating';

/** How the demo's federation trains; the manifest's terms are made from it. */
export const DEMO_TERMS = {
  loss: 'sigmoid',
  rank: 8,
  alpha: 16,
  targets: ['q_proj', 'k_proj', 'v_proj', 'o_proj', 'gate_proj', 'up_proj', 'down_proj'],
  beta: 0.3,
  labelSmoothing: null,
  sftWeight: null,
  /** Far above what a model of a billion weights would take: the embedded one is small and its rounds are short. */
  learningRate: 1.5e-3,
  schedule: 'constant',
  warmup: 0,
  maxGradNorm: 1,
  weightDecay: 0,
  batchSize: 8,
  steps: 8,
  maxLength: 256,
} as const satisfies {
  readonly targets: readonly TargetModule[];
  readonly [name: string]: unknown;
};

/** The same as a manifest has them. */
export function demoTraining(): Manifest['training'] {
  const { rank: _rank, alpha: _alpha, targets: _targets, ...training } = DEMO_TERMS;
  return training;
}

/** How many pairs and prompts each set has. */
export const DEMO_SETS = {
  participantPairs: 96,
  /** Share of a participant's pairs that show its main taste. */
  mainTasteShare: 0.95,
  evaluationPairs: 200,
  rootPairs: 100,
  prompts: 64,
  /** Tokens of a generated answer at most. */
  answerTokens: 128,
  /** Answers are drawn as a person would meet them, not the likeliest one: the base has no taste, it draws any. */
  answerTemperature: 0.7,
} as const;

export interface DemoData {
  /** Private pairs, one list a participant. */
  readonly participants: readonly (readonly TastePair[])[];
  readonly evaluation: readonly TastePair[];
  readonly root: readonly TastePair[];
  /** Questions whose answers are judged for the win rate. */
  readonly prompts: readonly string[];
}

/** The pairs of a demonstration: the same for the same size and seed. */
export function makeDemoData({ participants, seed }: DemoSize): DemoData {
  return {
    participants: Array.from({ length: participants }, (_, participant) =>
      makeParticipantPairs({
        seed,
        participant,
        participants,
        count: DEMO_SETS.participantPairs,
        share: DEMO_SETS.mainTasteShare,
      }),
    ),
    evaluation: makeGlobalSet({ seed, purpose: 'evaluation', count: DEMO_SETS.evaluationPairs }),
    root: makeGlobalSet({ seed, purpose: 'root', count: DEMO_SETS.rootPairs }),
    prompts: makePrompts({ seed, count: DEMO_SETS.prompts }),
  };
}
