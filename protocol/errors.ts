/**
 * The one table of error codes.
 *
 * Every failure a user or a peer can meet has a code here, with what happened, what to do about it, the exit code
 * of the command line, and a paragraph for the reference page. Templates name their details in braces; a thrower
 * that forgets one does not compile. `docs/reference/errors.md` is generated from this table.
 *
 * Details never hold prompts, answers, or any text of a preference pair.
 */

/** 1 unexpected fault · 2 usage or configuration · 3 input data · 4 network · 5 refused by a check · 130 interrupted. */
export type ExitCode = 1 | 2 | 3 | 4 | 5 | 130;

export interface ErrorEntry {
  readonly exit: ExitCode;
  /** One line: what happened. `{name}` is replaced by the detail of that name. */
  readonly what: string;
  /** One line: what to do. */
  readonly fix: string;
  /** A paragraph for the reference page: why it happens and how it is resolved. */
  readonly explain: string;
}

export const ERRORS = {
  UNEXPECTED: {
    exit: 1,
    what: 'unexpected fault: {problem}',
    fix: 'run again with --log-level debug; if it stays, report it with that output',
    explain: 'A fault that the program did not foresee. The state on disk stays as it was after the last completed step.',
  },
  INTERRUPTED: {
    exit: 130,
    what: 'interrupted; kept: {kept}',
    fix: 'run the same command again to go on',
    explain: 'The command was stopped by Ctrl-C or a termination signal and ended cleanly.',
  },
  USAGE: {
    exit: 2,
    what: '{problem}',
    fix: '{hint}',
    explain: 'The command line or a configuration value does not fit what the command takes.',
  },
} as const satisfies Record<string, ErrorEntry>;

export type ErrorCode = keyof typeof ERRORS;

/** The names in braces of a template: `'{file}: line {line}'` has `'file' | 'line'`. */
type Names<Template extends string> = Template extends `${string}{${infer Name}}${infer Rest}`
  ? Name | Names<Rest>
  : never;

/** The details that a code's templates ask for. */
export type ErrorDetails<Code extends ErrorCode> = Readonly<
  Record<Names<(typeof ERRORS)[Code]['what']> | Names<(typeof ERRORS)[Code]['fix']>, string | number>
>;

/**
 * A failure with a code of the table. Match on `code`, never on the text.
 *
 * @example throw new PrefmeshError('USAGE', { problem: '--rank must be positive', hint: 'pass --rank 16' });
 */
export class PrefmeshError<Code extends ErrorCode = ErrorCode> extends Error {
  override readonly name = 'PrefmeshError';
  readonly code: Code;
  readonly fix: string;
  readonly exitCode: ExitCode;
  readonly details: Readonly<Record<string, string | number>>;

  constructor(code: Code, details: ErrorDetails<Code>, options?: ErrorOptions) {
    const entry: ErrorEntry = ERRORS[code];
    super(fill(entry.what, details), options);
    this.code = code;
    this.fix = fill(entry.fix, details);
    this.exitCode = entry.exit;
    this.details = details;
  }
}

/** Whether a thrown value is a `PrefmeshError`, optionally with one given code. */
export function isPrefmeshError<Code extends ErrorCode>(error: unknown, code?: Code): error is PrefmeshError<Code> {
  return error instanceof PrefmeshError && (code === undefined || error.code === code);
}

function fill(template: string, details: Readonly<Record<string, string | number>>): string {
  return template.replace(/\{(\w+)\}/g, (_, name: string) => String(details[name]));
}
