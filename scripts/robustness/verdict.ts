/**
 * Whether the rules pass the test: a rule passes when it loses, under no attack, more than that attack may cost, and
 * costs no more than it may where nobody attacks. The default must pass. The plain mean must not, or the test would
 * show nothing; an attack that it survives is too weak to say anything for the default.
 */
import type { AttackName } from '../../aggregator/attacks/attacks.ts';
import type { ArmResult } from './experiment.ts';
import { damage, MAY_COST_CLEAN, ROUNDING, rowsOf } from './table.ts';

export interface Verdict {
  readonly passed: boolean;
  /** Attacks that cost the default more than they may. */
  readonly defaultFails: readonly AttackName[];
  /** Attacks that cost the plain mean more than they may cost the default. */
  readonly meanFails: readonly AttackName[];
  /** Attacks that the plain mean survives as well. */
  readonly tooWeak: readonly AttackName[];
  /** Points that the default costs against the plain mean where nobody attacks. */
  readonly clean: number;
}

export function verdictOf(results: readonly ArmResult[]): Verdict {
  const rows = rowsOf(results);
  const named = (chosen: readonly { readonly attack: AttackName }[]) => chosen.map(({ attack }) => attack);
  const defaultFails = named(rows.filter(({ holds }) => !holds));
  const meanFails = named(rows.filter((row) => row.meanFails));
  const clean = damage(results, null, 'alternating').accuracy - damage(results, null, 'robust').accuracy;
  return {
    passed: defaultFails.length === 0 && meanFails.length > 0 && clean <= MAY_COST_CLEAN + ROUNDING,
    defaultFails,
    meanFails,
    tooWeak: named(rows.filter((row) => !row.meanFails)),
    clean,
  };
}

/** Markdown, one line a question. */
export function showVerdict({ defaultFails, meanFails, tooWeak, clean }: Verdict): string {
  const all = (attacks: readonly AttackName[]) => attacks.map((attack) => `\`${attack}\``).join(', ');
  const lines = [
    `- **The default ${defaultFails.length === 0 ? 'passes' : 'fails'}**: ` +
      (defaultFails.length === 0
        ? 'no attack costs it more than it may.'
        : `more than they may, it loses under ${all(defaultFails)}.`),
    `- **The plain mean ${meanFails.length === 0 ? 'passes, so that the test shows nothing' : 'fails'}**` +
      (meanFails.length === 0 ? '.' : ` the same test, under ${all(meanFails)}.`),
    `- **Where nobody attacks** the default costs ${clean.toFixed(1)} points against the plain mean \`alternating\`; it may cost ${MAY_COST_CLEAN}.`,
  ];
  if (tooWeak.length > 0)
    lines.push(`- **Too weak here to show anything**, since the plain mean survives them: ${all(tooWeak)}.`);
  return lines.join('\n');
}
