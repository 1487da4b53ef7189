/** Many simulations, on as many threads as asked, given back in the order in which they were asked for. */
import path from 'node:path';
import { Worker } from 'node:worker_threads';
import { figuresOf } from './figures.ts';
import type { SimulationFigures } from './figures.ts';
import type { SimulationOptions } from './options.ts';

export interface SeedRun {
  readonly options: SimulationOptions;
  /** Whether it is run once more without its attackers. */
  readonly compare: boolean;
}

export type SeedReply =
  { readonly index: number; readonly figures: SimulationFigures } | { readonly index: number; readonly fault: string };

/** Runs them all. Throws the signal's reason; an error that names the seed for a fault of the program. */
export async function* runSeeds(
  runs: readonly SeedRun[],
  { jobs = 1, signal }: { readonly jobs?: number; readonly signal?: AbortSignal } = {},
): AsyncGenerator<SimulationFigures> {
  if (jobs === 1 || runs.length === 1) {
    for (const { options, compare } of runs) yield await figuresOf(options, { compare, signal });
    return;
  }
  const waiting = runs.map(() => Promise.withResolvers<SimulationFigures>());
  for (const { promise } of waiting) promise.catch(() => undefined); // whoever awaits it hears of it
  const failAll = (error: unknown): void => waiting.forEach(({ reject }) => reject(error));
  const stop = (): void => failAll(signal?.reason);
  signal?.addEventListener('abort', stop, { once: true });
  // The neighbour file, with whatever extension this one has: .ts in a clone, .js in the package.
  const file = new URL(`./seedsWorker${path.extname(import.meta.url)}`, import.meta.url);
  const workers = Array.from({ length: Math.min(jobs, runs.length) }, (_, worker) => {
    const share = runs.map((run, index) => ({ ...run, index })).filter(({ index }) => index % jobs === worker);
    return new Worker(file, { workerData: share });
  });
  try {
    for (const worker of workers) {
      worker.on('error', failAll);
      worker.on('message', (reply: SeedReply) => {
        const { resolve, reject } = waiting[reply.index]!;
        if ('figures' in reply) resolve(reply.figures);
        else reject(new Error(reply.fault));
      });
    }
    if (signal?.aborted) stop();
    for (const { promise } of waiting) yield await promise;
  } finally {
    signal?.removeEventListener('abort', stop);
    await Promise.all(workers.map((worker) => worker.terminate()));
  }
}
