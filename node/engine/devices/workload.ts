/**
 * How long a device takes for a piece of work that is like training: the same for all, so that they can be compared.
 */

import { gradients } from '../derivative.ts';
import type { Executor } from '../executor.ts';
import { constant, input, type Value } from '../graph.ts';
import { silu } from '../composites/swiglu.ts';
import { sum } from '../operators/broadcasting.ts';
import { matmul } from '../operators/matmul.ts';

/** With all rows, forward and backward are 4 GFLOP; a device that is slow is seen with few. */
const [ROWS, FEW_ROWS, WIDTH, LAYERS] = [512, 16, 640, 5];

/** Runs that are timed, after one that is not. */
const RUNS = 3;

/** Milliseconds for few rows above which all would keep the user waiting: the time for all is then estimated. */
const SLOW = 200;

/** The shortest run in milliseconds. */
export async function timeWorkload(executor: Executor): Promise<number> {
  const few = await timeRows(executor, FEW_ROWS);
  return few > SLOW ? (few * ROWS) / FEW_ROWS : timeRows(executor, ROWS);
}

async function timeRows(executor: Executor, rows: number): Promise<number> {
  const executable = await executor.compile(graph(rows));
  const feeds = { x: Float32Array.from({ length: rows * WIDTH }, (_, i) => Math.sin(i)) };
  await executable.run(feeds);
  let shortest = Infinity;
  for (let run = 0; run < RUNS; run++) {
    const started = performance.now();
    await executable.run(feeds);
    shortest = Math.min(shortest, performance.now() - started);
    if (shortest > SLOW) break;
  }
  await executable.dispose();
  return shortest;
}

function graph(rows: number): Record<string, Value> {
  const x = input('x', [rows, WIDTH]);
  let hidden: Value = x;
  for (let layer = 0; layer < LAYERS; layer++) {
    const numbers = Float32Array.from({ length: WIDTH * WIDTH }, (_, i) => Math.cos(i + layer) / Math.sqrt(WIDTH));
    hidden = silu(matmul(hidden, constant(numbers, [WIDTH, WIDTH]), { transposeB: true }));
  }
  const loss = sum(hidden, [0, 1]);
  return { loss, gradient: sum(gradients(loss, [x])[0]!, [0]) };
}
