import { ERRORS } from '../../protocol/errors.ts';
import type { ErrorEntry, ExitCode } from '../../protocol/errors.ts';

const EXIT_CODES: Readonly<Record<ExitCode, string>> = {
  1: 'Unexpected fault',
  2: 'Wrong usage or configuration',
  3: 'Bad input data',
  4: 'Network',
  5: 'Refused by a check',
  130: 'Interrupted',
};

/** The reference page of all error codes: by exit code, then by name. */
export function errorsPage(): string {
  const sections = Object.entries(EXIT_CODES).map(([exit, title]) => section(Number(exit), title));
  return [
    '# Errors',
    '<!-- Generated from protocol/errors.ts by npm run docs. Edit the table there. -->',
    'Every error has a code that stays the same from release to release. The program prints one line ' +
      '`error CODE: what happened` and one line `fix: what to do`, and ends with the exit code of the section below. ' +
      'Words in braces stand for details of the case. A code may also come from a peer, as the reason for which it ' +
      'refused a message.',
    ...sections,
  ].join('\n\n');
}

function section(exit: number, title: string): string {
  const entries = Object.entries<ErrorEntry>(ERRORS)
    .filter(([, entry]) => entry.exit === exit)
    .sort(([a], [b]) => (a < b ? -1 : 1));
  return [`## ${title} (exit code ${exit})`, ...entries.map(([code, entry]) => describe(code, entry))].join('\n\n');
}

function describe(code: string, { what, fix, explain }: ErrorEntry): string {
  return [`### ${code}`, `> \`error ${code}: ${what}\`\\\n> \`fix: ${fix}\``, explain].join('\n\n');
}
