/** The side of `executorProgram.ts` that asks for tests and waits for their outcomes. */
import { fork, type ChildProcess } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import type { TestOutcome } from './executorProgram.ts';

const PROGRAM = fileURLToPath(new URL('./executorProgram.ts', import.meta.url));

export class TestProcess {
  readonly #child: ChildProcess;
  readonly #waiting = new Map<string, PromiseWithResolvers<void>>();
  #ended: Error | undefined;

  private constructor(device: string, environment: Readonly<Record<string, string>>) {
    this.#child = fork(PROGRAM, [device], { env: { ...process.env, ...environment }, stdio: 'pipe' });
    let errors = '';
    this.#child.stderr!.setEncoding('utf8').on('data', (text: string) => (errors = (errors + text).slice(-4000)));
    this.#child.on('message', ({ name, error }: TestOutcome) => {
      if (error === undefined) this.#waiting.get(name)?.resolve();
      else this.#waiting.get(name)?.reject(new Error(error));
    });
    this.#child.on('close', (code, signal) => {
      this.#ended = new Error(`the process on ${device} ended with ${signal ?? code}: ${errors}`);
      for (const { reject } of this.#waiting.values()) reject(this.#ended);
    });
  }

  static async start(device: string, environment: Readonly<Record<string, string>>): Promise<TestProcess> {
    const started = new TestProcess(device, environment);
    await started.#outcome('ready');
    return started;
  }

  /** Runs the test of that name there; throws what it throws. */
  async run(name: string): Promise<void> {
    const outcome = this.#outcome(name);
    this.#child.send(name);
    await outcome;
  }

  async stop(): Promise<void> {
    if (this.#ended !== undefined) return;
    const closed = new Promise((resolve) => this.#child.once('close', resolve));
    this.#child.kill('SIGKILL');
    await closed;
  }

  #outcome(name: string): Promise<void> {
    if (this.#ended !== undefined) return Promise.reject(this.#ended);
    const outcome = Promise.withResolvers<void>();
    this.#waiting.set(name, outcome);
    return outcome.promise;
  }
}
