/**
 * Durations on the command line: `90`, `90s`, `500ms`, `5min`, `2h`, `14d`; a bare number is seconds.
 */
import { InvalidArgumentError } from 'commander';

const MILLISECONDS = { ms: 1, s: 1_000, min: 60_000, h: 3_600_000, d: 86_400_000 } as const;

/** Parses a duration into whole milliseconds, at least one. */
export function durationValue(): (text: string) => number {
  return (text) => {
    const match = /^(\d+(?:\.\d+)?)(ms|s|min|h|d)?$/.exec(text.trim());
    const unit = (match?.[2] ?? 's') as keyof typeof MILLISECONDS;
    const value = Math.round(Number(match?.[1]) * MILLISECONDS[unit]);
    if (match === null || value < 1)
      throw new InvalidArgumentError('It must be a duration such as 90s, 5min, 2h, 14d.');
    return value;
  };
}
