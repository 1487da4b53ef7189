/**
 * Other prefmesh processes, as the demo starts them: the same program that a person would start, with `--json`, whose
 * lines on stdout are read as they come. What they say on stderr is kept for the case that they fail.
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { createInterface } from 'node:readline';
import { programCommand } from '../../node/commands/program.ts';
import { PrefmeshError } from '../../protocol/errors.ts';

/**
 * glibc keeps a pool of free memory for each thread; with as many processes as a demo has, on one machine, two pools
 * each save a tenth of a gibibyte and cost no time. Other systems ignore it.
 */
const MALLOC_ARENA_MAX = '2';

/** The last lines of stderr, in characters. */
const KEPT_STDERR = 4_000;

export interface ProgramInit {
  /** What it is in the demo, for messages: `participant 2`. */
  readonly name: string;
  /** The command line after `prefmesh`. */
  readonly args: readonly string[];
  /** Called with each JSON line. */
  readonly onLine?: (line: unknown) => void;
}

/** A running prefmesh process. Dispose to stop it if it still runs. */
export class Program implements AsyncDisposable {
  readonly name: string;
  /** Settles when the process has ended; rejects with DEMO_PROCESS_FAILED when its exit code is not 0. */
  readonly done: Promise<void>;
  readonly #child: ChildProcess;

  constructor({ name, args, onLine }: ProgramInit) {
    this.name = name;
    const { command, leadingArguments } = programCommand();
    const child = spawn(command, [...leadingArguments, ...args, '--json'], {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { ...process.env, MALLOC_ARENA_MAX },
    });
    this.#child = child;
    let stderr = '';
    child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr = (stderr + text).slice(-KEPT_STDERR)));
    createInterface({ input: child.stdout }).on('line', (line) => onLine?.(JSON.parse(line)));
    this.done = new Promise((resolve, reject) => {
      const failed = (problem: string, cause?: unknown) =>
        reject(new PrefmeshError('DEMO_PROCESS_FAILED', { name, problem }, { cause }));
      child.once('error', (error) => failed(error.message, error));
      child.once('close', (code, signal) => {
        if (code === 0) resolve();
        else failed(lastWords(stderr) ?? (signal === null ? `exit code ${code}` : `ended by ${signal}`));
      });
    });
    this.done.catch(() => {}); // whoever waits for it hears of it; nobody may be waiting yet
  }

  /** Its process id; undefined when it could not be started. */
  get pid(): number | undefined {
    return this.#child.pid;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#child.exitCode === null && this.#child.signalCode === null) this.#child.kill('SIGTERM');
    await this.done.catch(() => {});
  }
}

/** Runs a command to its end and returns its JSON lines. Throws DEMO_PROCESS_FAILED. */
export async function runProgram(name: string, args: readonly string[]): Promise<unknown[]> {
  const lines: unknown[] = [];
  await using program = new Program({ name, args, onLine: (line) => lines.push(line) });
  await program.done;
  return lines;
}

/** The error that a process printed before it ended. */
function lastWords(stderr: string): string | undefined {
  return stderr
    .split('\n')
    .findLast((line) => line.startsWith('error '))
    ?.slice('error '.length);
}
