/**
 * The course of a run: everything that decides what adapter it ends in. Runs of one course on one kind of machine end
 * in the same bits, so a saved state names its course, and goes on only under the same one.
 */
import { z } from 'zod';

const value = z.union([z.string(), z.number(), z.boolean()]);

export const runCourseSchema = z.object({
  /** SHA-256 of what went in, by what it is: `base model`, `pairs`. Null where there was none. */
  inputs: z.record(z.string(), z.nullable(z.string())),
  /** Settings by the name of their flag, without dashes; lists joined by commas. */
  options: z.record(z.string(), value),
});

export type RunCourse = z.infer<typeof runCourseSchema>;
export type OptionValue = z.infer<typeof value>;

/**
 * How a course differs from that of a saved run, one sentence a difference; empty where it does not.
 *
 * @param saved as read from a file
 */
export function courseDifferences(saved: unknown, now: RunCourse): string[] {
  const parsed = runCourseSchema.safeParse(saved);
  if (!parsed.success) return ['it was saved by another version of this program'];
  const before = parsed.data;
  const differences: string[] = [];
  for (const name of keysOf(before.inputs, now.inputs)) {
    if ((before.inputs[name] ?? null) !== (now.inputs[name] ?? null)) differences.push(`different ${name}`);
  }
  for (const name of keysOf(before.options, now.options)) {
    const [then, given] = [before.options[name], now.options[name]];
    if (then !== given) differences.push(`--${name} was ${then ?? 'not given'}, is ${given ?? 'not given'}`);
  }
  return differences;
}

function keysOf(...records: readonly object[]): Set<string> {
  return new Set(records.flatMap((record) => Object.keys(record)));
}
