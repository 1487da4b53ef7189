/** The rules by name. A new rule is one file and one line here. */
import type { AggregationRule } from './rule.ts';
import { alternating } from './alternating.ts';
import { centredClipping } from './centredClipping.ts';
import { clippedMean } from './clippedMean.ts';
import { geometricMedian } from './geometricMedian.ts';
import { krum } from './krum.ts';
import { mean } from './mean.ts';
import { median } from './median.ts';
import { multiKrum } from './multiKrum.ts';
import { robust } from './robust.ts';
import { svd } from './svd.ts';
import { trimmedMean } from './trimmedMean.ts';

export const RULES = {
  robust,
  alternating,
  mean,
  svd,
  'clipped-mean': clippedMean,
  median,
  'trimmed-mean': trimmedMean,
  krum,
  'multi-krum': multiKrum,
  'geometric-median': geometricMedian,
  'centred-clipping': centredClipping,
} as const satisfies Record<string, AggregationRule>;

export type RuleName = keyof typeof RULES;

export const RULE_NAMES = Object.keys(RULES) as [RuleName, ...RuleName[]];

export function ruleByName(name: RuleName): AggregationRule {
  return RULES[name];
}

/** What is wrong with a manifest's parameters for a rule; undefined when nothing is. */
export function checkRuleParameters(name: RuleName, values: Readonly<Record<string, number>>): string | undefined {
  const { parameters } = ruleByName(name);
  for (const given of Object.keys(values)) {
    const parameter = parameters.find((candidate) => candidate.name === given);
    if (!parameter) return `rule ${name} has no parameter ${given}`;
    if (values[given]! < parameter.min || values[given]! > parameter.max) {
      return `${given} of rule ${name} must lie between ${parameter.min} and ${parameter.max}`;
    }
  }
  return undefined;
}

/** Fewest updates that a rule with these parameters can combine. */
export function fewestUpdates(name: RuleName, values: Readonly<Record<string, number>>): number {
  return ruleByName(name).fewest(resolveParameters(name, values));
}

/** A rule's parameters with the defaults of those that the manifest leaves out. */
export function resolveParameters(name: RuleName, values: Readonly<Record<string, number>>): Record<string, number> {
  const entries = ruleByName(name).parameters.map((parameter) => [parameter.name, parameter.default]);
  return { ...Object.fromEntries(entries), ...values };
}
