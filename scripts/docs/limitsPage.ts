import { LIMITS } from '../../protocol/limits.ts';
import type { Limit } from '../../protocol/limits.ts';

/** The reference page of all bounds, in the order of the table. */
export function limitsPage(): string {
  const rows = Object.entries<Limit>(LIMITS).map(
    ([name, limit]) => `| \`${name}\` | ${readable(limit)} | ${limit.why.replaceAll('|', '\\|')} |`,
  );
  return [
    '# Limits',
    '<!-- Generated from protocol/limits.ts by npm run docs. Edit the table there. -->',
    'What a node accepts, holds or waits for at most, and why. These are the same for every federation; what one ' +
      'federation sets for itself (quorum, deadlines, norm bound) stands in its manifest.',
    ['| limit | value | why |', '| --- | --: | --- |', ...rows].join('\n'),
  ].join('\n\n');
}

/** `1 MiB`, `5 s`, `1,024`: the value in the largest unit that divides it. */
function readable({ value, unit }: Limit): string {
  switch (unit) {
    case 'bytes':
      return inLargest(value, [
        [1024 ** 3, 'GiB'],
        [1024 ** 2, 'MiB'],
        [1024, 'KiB'],
        [1, 'bytes'],
      ]);
    case 'ms':
      return inLargest(value, [
        [86_400_000, 'days'],
        [3_600_000, 'h'],
        [60_000, 'min'],
        [1_000, 's'],
        [1, 'ms'],
      ]);
    case 'bits':
      return `${value} bits`;
    case 'count':
    case 'ratio':
      return value.toLocaleString('en');
  }
}

function inLargest(value: number, units: readonly (readonly [number, string])[]): string {
  const [size, name] = units.find(([candidate]) => value % candidate === 0 && value >= candidate) ?? [1, ''];
  return `${(value / size).toLocaleString('en')} ${name}`.trim();
}
