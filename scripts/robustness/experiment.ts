/** What is run for each seed: everybody honest, and every attack, under the default rule and under a plain mean. */
import { ATTACK_NAMES, attackByName, type AttackName } from '../../aggregator/attacks/attacks.ts';
import type { Checkpoint } from '../../node/model/checkpoint.ts';
import type { Tokenizer } from '../../node/model/tokenizer.ts';
import type { Policy } from '../../node/training/policy.ts';
import { runCourse, type Combination } from './course.ts';
import type { Memory } from './memory.ts';
import { LAYOUT, type Setting } from './setting.ts';
import { hashOfSources } from './sources.ts';
import { Stage, type Figures } from './stage.ts';

export interface Arm {
  /** Null: everybody is honest. */
  readonly attack: AttackName | null;
  readonly combination: Combination;
}

export interface ArmResult extends Arm {
  readonly seed: number;
  readonly figures: Figures;
}

/** The plain mean that an attack is aimed at: of one factor, of both factors apart, or by claimed numbers of pairs. */
export function plainMeanOf(attack: AttackName | null): Combination {
  if (attack === 'pair-counts') return 'weighted';
  return attack === 'null-product' || attack === 'gauge' ? 'mean' : 'alternating';
}

export function armsOf(attacks: readonly AttackName[]): Arm[] {
  const clean = (['robust', 'alternating', 'mean'] as const).map((combination) => ({ attack: null, combination }));
  return [
    ...clean,
    ...attacks.flatMap((attack) => [
      { attack, combination: 'robust' as const },
      { attack, combination: plainMeanOf(attack) },
    ]),
  ];
}

export interface ExperimentInit {
  readonly setting: Setting;
  readonly seeds: readonly number[];
  readonly attacks?: readonly AttackName[];
  readonly checkpoint: Checkpoint;
  readonly tokenizer: Tokenizer;
  readonly policy: Policy;
  readonly memory: Memory;
  readonly onResult?: (result: ArmResult) => void;
  /** Ends the experiment before the next arm, with what is there by then. */
  readonly signal?: AbortSignal;
}

export async function runExperiment(init: ExperimentInit): Promise<ArmResult[]> {
  const { seeds, attacks = ATTACK_NAMES, onResult, signal } = init;
  const results: ArmResult[] = [];
  for (const seed of seeds) {
    const stage = new Stage(seed, init);
    for (const arm of armsOf(attacks)) {
      if (signal?.aborted) return results;
      const result = { ...arm, seed, figures: await runArm(arm, seed, stage, init) };
      results.push(result);
      onResult?.(result);
    }
  }
  return results;
}

/** What an arm's figures follow from, beside the training that `Stage` remembers by itself. */
const SOURCES = [
  'protocol/aggregation',
  'aggregator/attacks',
  'aggregator/offline/weightedMean.ts',
  'scripts/robustness/course.ts',
];

/** An attack that searches for its strength takes longer than the training, so whole arms are remembered too. */
export async function runArm(
  { attack, combination }: Arm,
  seed: number,
  stage: Stage,
  { setting, memory }: ExperimentInit,
): Promise<Figures> {
  const key = ['arm', hashOfSources(SOURCES), setting, LAYOUT, seed, attack, combination];
  const bytes = await memory.recall(key, async () => {
    const course = { setting, seed, attack: attack && attackByName(attack), combination };
    const withTrigger = attack === null || attack === 'backdoor';
    return Buffer.from(JSON.stringify(await stage.measure(await runCourse(stage, course), withTrigger)));
  });
  const figures = JSON.parse(Buffer.from(bytes).toString()) as Figures & { triggered: number | null };
  return { ...figures, triggered: figures.triggered ?? Number.NaN };
}
