/** The thread of `seeds.ts`: one simulation after the other, each told as soon as it is done. */
import { parentPort, workerData } from 'node:worker_threads';
import { figuresOf } from './figures.ts';
import type { SeedReply, SeedRun } from './seeds.ts';

for (const { index, options, compare } of workerData as readonly (SeedRun & { readonly index: number })[]) {
  let reply: SeedReply;
  try {
    reply = { index, figures: await figuresOf(options, { compare }) };
  } catch (error) {
    reply = { index, fault: `seed ${options.seed}: ${error instanceof Error ? error.stack : String(error)}` };
  }
  parentPort!.postMessage(reply);
}
