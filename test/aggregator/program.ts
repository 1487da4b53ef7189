/** The real program in child processes, and what it says. */
import assert from 'node:assert/strict';
import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { programCommand } from '../../node/commands/program.ts';

/** Compiled code is kept between the processes of all tests: starting one takes half the time then. */
const ENVIRONMENT = { ...process.env, NODE_COMPILE_CACHE: join(tmpdir(), 'prefmesh-test-compile-cache') };

/** Runs a command to its end and answers the JSON objects that it printed, one a line. Fails unless it ends well. */
export function run(...args: string[]): Record<string, unknown>[] {
  const { status, stdout, stderr } = attempt(...args, '--json');
  assert.equal(status, 0, stderr);
  return stdout
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as Record<string, unknown>);
}

/** Runs a command to its end, however it ends. */
export function attempt(...args: string[]): { status: number | null; stdout: string; stderr: string } {
  const { command, leadingArguments } = programCommand();
  return spawnSync(command, [...leadingArguments, ...args], { encoding: 'utf8', env: ENVIRONMENT });
}

interface Waiter<Event> {
  readonly matches: (event: Event) => boolean;
  readonly resolve: (event: Event) => void;
  readonly reject: (error: Error) => void;
}

/** One running command with `--json`; `Event` is what its lines hold. */
export class Program<Event extends { readonly event: string }> {
  readonly events: Event[] = [];
  /** Exit code, or null when a signal ended it. */
  readonly exit: Promise<number | null>;
  readonly #child: ChildProcess;
  readonly #waiters = new Set<Waiter<Event>>();
  #stderr = '';
  #ended = false;

  /** @param launcher a command that runs the one behind it, in a network namespace for instance */
  constructor(
    args: readonly string[],
    environment: Readonly<Record<string, string>> = {},
    launcher: readonly string[] = [],
  ) {
    const { command, leadingArguments } = programCommand();
    const [first, ...rest] = [...launcher, command, ...leadingArguments, ...args, '--json', '--threads', '1'];
    this.#child = spawn(first!, rest, {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { ...ENVIRONMENT, ...environment },
    });
    running.add(this.#child);
    this.#child.stderr!.setEncoding('utf8').on('data', (text: string) => (this.#stderr += text));
    createInterface(this.#child.stdout!).on('line', (line) => this.#hear(JSON.parse(line) as Event));
    this.exit = new Promise((resolve) =>
      this.#child.on('close', (code) => {
        running.delete(this.#child);
        this.#ended = true;
        for (const { reject } of this.#waiters) reject(new Error(`ended with ${code}:\n${this.#stderr}`));
        resolve(code);
      }),
    );
  }

  get pid(): number {
    return this.#child.pid!;
  }

  get stderr(): string {
    return this.#stderr;
  }

  /** The first event of a kind for which `matches` holds, from the beginning on. Rejects when the program ends first. */
  async until<Kind extends Event['event']>(
    kind: Kind,
    matches: (event: Extract<Event, { event: Kind }>) => boolean = () => true,
  ): Promise<Extract<Event, { event: Kind }>> {
    type Wanted = Extract<Event, { event: Kind }>;
    const fits = (event: Event) => event.event === kind && matches(event as Wanted);
    const past = this.events.find(fits);
    if (past) return past as Wanted;
    assert.ok(!this.#ended, `it has ended:\n${this.#stderr}`);
    return new Promise<Event>((resolve, reject) => {
      const waiter: Waiter<Event> = {
        matches: fits,
        resolve: (event) => {
          this.#waiters.delete(waiter);
          resolve(event);
        },
        reject,
      };
      this.#waiters.add(waiter);
    }) as Promise<Wanted>;
  }

  /** Ends it as a power cut would, and waits until it is gone. */
  async kill(): Promise<void> {
    this.#child.kill('SIGKILL');
    await this.exit;
  }

  /** The code of the failure that it ended with, and its exit code. */
  async failure(): Promise<{ code: string; exit: number | null }> {
    const exit = await this.exit;
    return { code: /^error (\w+): .+\nfix: .+$/m.exec(this.#stderr)?.[1] ?? `none in ${this.#stderr}`, exit };
  }

  #hear(event: Event): void {
    this.events.push(event);
    for (const waiter of this.#waiters) if (waiter.matches(event)) waiter.resolve(event);
  }
}

const running = new Set<ChildProcess>();

/** Ends every program that a test left running. */
export function killRunning(): void {
  for (const child of running) child.kill('SIGKILL');
}
