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
  NODE_TOO_OLD: {
    exit: 2,
    what: 'prefmesh needs Node {needed} or newer; this is Node {found}',
    fix: 'install Node {needed} or newer and run the command with it',
    explain: 'The program uses what Node 24 brought. In a clone, npm ci brings the pinned Node and every script uses it.',
  },
  CONFIG_FILE: {
    exit: 2,
    what: '{file}: cannot be used as a configuration: {problem}',
    fix: 'make it one JSON object whose keys are flag names without the dashes',
    explain: 'The file given with --config is missing, is not JSON, or holds something other than plain values.',
  },
  CONFIG_KEY: {
    exit: 2,
    what: '{file}: unknown key {key} for the command {command}',
    fix: 'remove it or use one of: {allowed}',
    explain: 'Keys of a configuration file are the flag names of the command it is given to, without the dashes.',
  },
  MODEL_NOT_FOUND: {
    exit: 2,
    what: 'no model at {model}: {problem}',
    fix: 'pass a folder with config.json, *.safetensors and tokenizer.json, or the word embedded',
    explain:
      'A model is a folder in Hugging Face format, the word `embedded` for the model that comes with the package, or the id of a model stored under the data folder. The name given is none of these, or the folder lacks one of the files.',
  },
  MODEL_CONFIG_INVALID: {
    exit: 3,
    what: '{file}: field {field} {problem}',
    fix: 'fetch the model again, or mend the field',
    explain:
      "A model's config.json could not be read: it is not JSON, or a field is missing or holds a value that makes no sense.",
  },
  MODEL_UNSUPPORTED: {
    exit: 3,
    what: '{file}: {feature} is not supported',
    fix: 'use one of: {supported}',
    explain:
      'The model is of an architecture, or uses a feature of one, that this program does not compute. It refuses rather than compute something else.',
  },
  WEIGHTS_INVALID: {
    exit: 3,
    what: '{file}: tensor {tensor}: {problem}',
    fix: 'fetch the file again; it is cut short, damaged or not safetensors',
    explain:
      'A safetensors file breaks a rule of its format: the header is too long or not JSON, a tensor lies outside the file, overlaps another, has the wrong length for its shape, or is of a dtype that is not read. `(header)` stands for the tensor when the fault is in the header as a whole.',
  },
  TENSOR_MISSING: {
    exit: 3,
    what: '{file}: tensor {tensor} is missing',
    fix: 'fetch the model again; this file does not hold all weights that its config.json asks for',
    explain: 'The architecture in config.json needs a tensor that no weight file of the folder holds.',
  },
  TENSOR_SHAPE: {
    exit: 3,
    what: '{file}: tensor {tensor} has shape {shape}, expected {expected}',
    fix: 'use weights and config.json of the same model',
    explain: 'A tensor is there, but its shape is not the one that config.json implies.',
  },
  TOKENIZER_INVALID: {
    exit: 3,
    what: '{file}: {problem}',
    fix: 'fetch the tokenizer files of this model again',
    explain:
      'tokenizer.json or tokenizer_config.json could not be read, names a token that the vocabulary lacks, or gives a token id that the model has no embedding for.',
  },
  HOME_LOCKED: {
    exit: 2,
    what: 'the data folder {folder} is in use by another prefmesh process ({holder})',
    fix: 'stop that process, or choose another folder with --home',
    explain:
      'A data folder belongs to one long-running process at a time, so that two nodes cannot share an identity or write the same state. The lock is held by the operating system and ends with the process that holds it, also when that process is killed.',
  },
  HOME_UNUSABLE: {
    exit: 2,
    what: 'the data folder {folder} cannot be used: {problem}',
    fix: 'make it a folder that you own and may write, or choose another one with --home',
    explain: 'The data folder could not be created, is not a folder, or its owner or permissions do not let this user write there.',
  },
  DISK_FULL: {
    exit: 1,
    what: 'no space left to write {file} ({problem})',
    fix: 'free disk space or raise the quota, then run the same command again; what was stored before is intact',
    explain:
      'The disk, the quota or the file-size limit was reached. Files are written beside their final name and renamed when complete, so a full disk never damages what is already stored.',
  },
  STORAGE_FAILED: {
    exit: 1,
    what: 'cannot read or write {file}: {problem}',
    fix: 'check the permissions and the health of the disk that holds the data folder',
    explain: 'The operating system refused a file operation for a reason other than lack of space.',
  },
  KEY_CORRUPT: {
    exit: 3,
    what: 'the key file {file} is damaged: {problem}',
    fix: 'restore the file from a backup; only if there is none, move it away to start with a new identity',
    explain:
      'The key file holds a seed and the id that follows from it, and the two no longer agree or cannot be read. It is never replaced on its own accord: a new key is a new identity, and the federation would not know it.',
  },
  KEY_MISSING: {
    exit: 3,
    what: 'the data folder has state but its key file {file} is gone',
    fix: 'restore the file from a backup, or start over in a new folder with --home',
    explain:
      'State that belongs to an identity is useless without its key. A new key is made only in a data folder that has no state yet.',
  },
  KEY_EXPOSED: {
    exit: 2,
    what: 'the key file {file} can be read by other users (mode {mode})',
    fix: 'run: chmod 600 {file}',
    explain: 'A private key that others can read is no proof of identity. Secrets are accepted only with mode 0600.',
  },
  BLOB_MISSING: {
    exit: 3,
    what: 'blob {hash} is not stored here',
    fix: 'fetch it from a peer that has it',
    explain: 'A blob (an update or an adapter, named by its SHA-256) was asked for that this data folder does not hold.',
  },
  BLOB_CORRUPT: {
    exit: 3,
    what: 'blob {hash} was damaged on disk and was moved to {file}',
    fix: 'fetch it again from a peer that has it, and check the disk',
    explain:
      'The stored bytes no longer have the hash they are named by. The damaged file is kept in the quarantine folder for inspection and is not used or served again.',
  },
  BLOB_MISMATCH: {
    exit: 5,
    what: 'the bytes received for blob {hash} have another hash ({actual})',
    fix: 'fetch the blob from another peer; the sender is faulty or lying',
    explain: 'A blob is accepted only when its SHA-256 is the name it was asked by. Nothing of the received bytes was kept.',
  },
  BLOB_TOO_LARGE: {
    exit: 5,
    what: 'a blob of {size} bytes is over the bound of {limit} bytes',
    fix: 'ask the sender for a blob within the bound that the federation allows',
    explain: 'Every blob has a bound that is known before any of it is read. A larger one is refused at its declared size.',
  },
  DATABASE_CORRUPT: {
    exit: 3,
    what: 'the database {file} is damaged: {problem}',
    fix: 'restore it from a backup, or move it away (with its -wal and -shm files) to start with empty state',
    explain: 'The integrity check at opening failed. The file is left as it is: nothing is deleted, repaired or overwritten.',
  },
  DATABASE_NEWER: {
    exit: 2,
    what: 'the database {file} has schema {found}, this program knows schema {known}',
    fix: 'use the newer prefmesh that wrote it',
    explain: 'Schemas only move forward. An older program would misread what a newer one stored, so it refuses.',
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
