/**
 * Tries a device in a process of its own: a driver that ends the process, or never answers, takes nothing with it.
 */

import { fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { z } from 'zod';
import { LIMITS } from '../../../protocol/limits.ts';
import type { Device } from '../device.ts';

export const answerSchema = z.union([
  z.strictObject({ usable: z.literal(true), milliseconds: z.number().nullable() }),
  z.strictObject({ usable: z.literal(false), reason: z.string() }),
]);

/** `milliseconds` for the same piece of work on every device, null if it was not timed; or why it cannot be used. */
export type ProbeAnswer = z.infer<typeof answerSchema>;

export interface ProbeOptions {
  readonly threads?: number | undefined;
  readonly signal?: AbortSignal | undefined;
  /** What is run instead of the usual program, and for how long at most, in milliseconds: for tests. */
  readonly program?: string;
  readonly patience?: number;
}

export async function probeDevice(device: Device, options: ProbeOptions = {}): Promise<ProbeAnswer> {
  const { threads, signal, patience = LIMITS.deviceProbe.value } = options;
  signal?.throwIfAborted();
  const program = options.program ?? fileURLToPath(new URL('./probeProgram.ts', import.meta.url));
  const words = threads === undefined ? [device] : [device, String(threads)];
  const outcome = Promise.withResolvers<ProbeAnswer>();
  // What runtimes and drivers print is not for the user of the parent.
  const child = fork(program, words, { stdio: ['ignore', 'ignore', 'ignore', 'ipc'], execArgv: [] });
  const giveUp = (answer: ProbeAnswer): void => {
    outcome.resolve(answer);
    child.kill('SIGKILL');
  };
  const timer = setTimeout(() => giveUp({ usable: false, reason: `no answer in ${patience / 1000} s` }), patience);
  const stop = (): void => {
    outcome.reject(signal!.reason as Error);
    child.kill('SIGKILL');
  };
  signal?.addEventListener('abort', stop);
  child.on('message', (message) => giveUp(answerSchema.parse(message)));
  child.on('error', (error) => giveUp({ usable: false, reason: error.message }));
  child.on('close', (code, killedBy) => {
    outcome.resolve({ usable: false, reason: `trying it ended the process (${killedBy ?? `code ${code}`})` });
  });
  try {
    return await outcome.promise;
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener('abort', stop);
  }
}
