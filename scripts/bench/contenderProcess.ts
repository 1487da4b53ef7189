/**
 * One contender, in a process of its own, so that its peak memory is its own. It is asked for one step at a time; the
 * others wait meanwhile, so that a machine that warms up or gets busy slows all of them alike.
 */
import { spawn, type ChildProcessByStdio } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import type { Readable, Writable } from 'node:stream';

export interface Command {
  readonly program: string;
  readonly args: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
}

export interface StepAnswer {
  readonly seconds: number;
  /** In nats, before the step's update. */
  readonly loss: number;
}

/** What a contender writes, a line each. */
export type ContenderLine =
  | { readonly ready: true; readonly startSeconds: number; readonly detail?: string }
  | StepAnswer
  | { readonly peakMiB: number };

export class ContenderProcess implements AsyncDisposable {
  readonly name: string;
  readonly #child: ChildProcessByStdio<Writable, Readable, null>;
  readonly #lines: AsyncIterator<string>;

  constructor(name: string, { program, args, env }: Command) {
    this.name = name;
    this.#child = spawn(program, args, { stdio: ['pipe', 'pipe', 'inherit'], env: { ...process.env, ...env } });
    this.#lines = createInterface(this.#child.stdout)[Symbol.asyncIterator]();
  }

  /** Seconds from an idle process to one that can make a step. */
  async ready(): Promise<{ startSeconds: number; detail?: string }> {
    return (await this.#answer()) as { startSeconds: number; detail?: string };
  }

  async step(): Promise<StepAnswer> {
    this.#child.stdin.write('step\n');
    return (await this.#answer()) as StepAnswer;
  }

  /** Ends the process; its peak memory, in MiB. */
  async end(): Promise<number> {
    this.#child.stdin.end('end\n');
    const { peakMiB } = (await this.#answer()) as { peakMiB: number };
    if (this.#child.exitCode === null) await once(this.#child, 'exit');
    return peakMiB;
  }

  async #answer(): Promise<ContenderLine> {
    const { value, done } = await this.#lines.next();
    if (done === true) throw new Error(`${this.name} ended without an answer`);
    return JSON.parse(value) as ContenderLine;
  }

  [Symbol.asyncDispose](): Promise<void> {
    this.#child.kill();
    return Promise.resolve();
  }
}
