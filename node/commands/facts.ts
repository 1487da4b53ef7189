/** What one thing is, shown to people: a label and a value a line. */
import type { Output } from './output.ts';

export function showFacts(output: Output, facts: readonly (readonly [label: string, value: string])[]): void {
  const width = Math.max(...facts.map(([label]) => label.length)) + 2;
  for (const [label, value] of facts) output.human(output.style('dim', label.padEnd(width)) + value);
}
