/** The results as tables for `docs/reference/robustness.md`. */
import { attackByName, type AttackName } from '../../aggregator/attacks/attacks.ts';
import { plainMeanOf, type ArmResult } from './experiment.ts';
import type { Combination } from './course.ts';

/** Points of accuracy that an attack may cost under the default rule, by its kind. */
export const MAY_COST = { crude: 3, tuned: 6 } as const;
/** Points that the default rule may cost where nobody attacks. */
export const MAY_COST_CLEAN = 1;

/** Lets what costs exactly as much as it may, pass. */
export const ROUNDING = 1e-9;

export interface Row {
  readonly attack: AttackName;
  readonly underDefault: Damage;
  readonly underMean: Damage;
  /** The default costs no more than it may. */
  readonly holds: boolean;
  /** The plain mean costs more than the default may. */
  readonly meanFails: boolean;
}

export interface Damage {
  /** Mean accuracy over the seeds, in percent. */
  readonly accuracy: number;
  /** Points of accuracy lost against the default rule among honest participants: mean over the seeds, and the most. */
  readonly lost: number;
  readonly most: number;
  /** Mean margin, as a share of that without an attack under the default. */
  readonly margin: number;
}

export function rowsOf(results: readonly ArmResult[]): Row[] {
  const attacks = new Set(results.flatMap(({ attack }) => (attack === null ? [] : [attack])));
  return [...attacks].map((attack) => {
    const underDefault = damage(results, attack, 'robust');
    const underMean = damage(results, attack, plainMeanOf(attack));
    const may = MAY_COST[attackByName(attack).kind] + ROUNDING;
    return { attack, underDefault, underMean, holds: underDefault.lost <= may, meanFails: underMean.lost > may };
  });
}

/** Against the honest run of the default rule, seed by seed. */
export function damage(results: readonly ArmResult[], attack: AttackName | null, combination: Combination): Damage {
  const attacked = select(results, attack, combination);
  const clean = attacked.map(
    ({ seed }) => select(results, null, 'robust').find((other) => other.seed === seed)!.figures,
  );
  const lost = attacked.map(({ figures }, i) => 100 * (clean[i]!.accuracy - figures.accuracy));
  return {
    accuracy: 100 * mean(attacked.map(({ figures }) => figures.accuracy)),
    lost: mean(lost),
    most: Math.max(...lost),
    margin: mean(attacked.map(({ figures }) => figures.margin)) / mean(clean.map(({ margin }) => margin)),
  };
}

export function select(
  results: readonly ArmResult[],
  attack: AttackName | null,
  combination: Combination,
): readonly ArmResult[] {
  return results.filter((result) => result.attack === attack && result.combination === combination);
}

/** Markdown: honest runs, attacks, the trigger. */
export function showTables(results: readonly ArmResult[]): string {
  const honest = (combination: Combination) => damage(results, null, combination);
  return [
    '| nobody attacks, rule | accuracy | margin |',
    '| --- | ---: | ---: |',
    ...(['robust', 'alternating', 'mean'] as const).map(
      (rule) => `| \`${rule}\` | ${percent(honest(rule).accuracy)} | ${percent(100 * honest(rule).margin)} |`,
    ),
    '',
    '| attack | may cost | default: accuracy | lost | worst seed | margin | holds | plain mean | accuracy | lost | margin | says |',
    '| --- | ---: | ---: | ---: | ---: | ---: | --- | --- | ---: | ---: | ---: | --- |',
    ...rowsOf(results).map(showRow),
    '',
    '| trigger in the prompt | rejected answer preferred |',
    '| --- | ---: |',
    ...trigger(results, null, 'robust', 'nobody attacks, default'),
    ...trigger(results, null, 'alternating', 'nobody attacks, plain mean'),
    ...trigger(results, 'backdoor', 'robust', 'backdoor, default'),
    ...trigger(results, 'backdoor', 'alternating', 'backdoor, plain mean'),
    '',
  ].join('\n');
}

function showRow({ attack, underDefault, underMean, holds, meanFails }: Row): string {
  const numbers = ({ accuracy, lost }: Damage) => [percent(accuracy), signed(lost)];
  return `| ${[
    `\`${attack}\``,
    MAY_COST[attackByName(attack).kind],
    ...numbers(underDefault),
    signed(underDefault.most),
    percent(100 * underDefault.margin),
    holds ? 'yes' : '**no**',
    `\`${plainMeanOf(attack)}\``,
    ...numbers(underMean),
    percent(100 * underMean.margin),
    meanFails ? 'fails' : 'too weak',
  ].join(' | ')} |`;
}

function trigger(
  results: readonly ArmResult[],
  attack: AttackName | null,
  combination: Combination,
  label: string,
): string[] {
  const found = select(results, attack, combination);
  return found.length === 0
    ? []
    : [`| ${label} | ${percent(100 * mean(found.map(({ figures }) => figures.triggered)))} |`];
}

function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

function percent(value: number): string {
  return `${value.toFixed(1)} %`;
}

function signed(points: number): string {
  return points.toFixed(1);
}
