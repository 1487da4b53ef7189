/**
 * How fast training is on this machine: optimiser steps and tokens a second, for the embedded model and for one of
 * the size of SmolLM2-135M; and how fast the latter generates.
 *
 *   npm run bench [-- --runs N] [--threads N] [--json]
 *
 * The contenders take turns, so that a machine that warms up or gets busy slows all of them alike; each has one run
 * beforehand that does not count. Shown are medians of the runs, with the least and the most.
 */
import { mkdtempDisposable } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { integerValue } from '../../node/commands/values.ts';
import { openCheckpoint } from '../../node/model/checkpoint.ts';
import { Contender } from './contender.ts';
import { describeMachine } from './machine.ts';
import { writeRandomCheckpoint } from './randomCheckpoint.ts';
import { decodingSection } from './sections/decoding.ts';
import { show, spreadOf } from './statistics.ts';

const { values: options } = parseArgs({
  options: {
    runs: { type: 'string', default: '7' },
    threads: { type: 'string' },
    json: { type: 'boolean', default: false },
  },
});
const count = integerValue({ min: 1 });
const runs = count(options.runs);
const threads = options.threads === undefined ? undefined : count(options.threads);

const machine = describeMachine();
const say = (text: string) => process.stderr.write(`${text}\n`);
say(`${machine.processor}, ${machine.cores} cores, ${machine.memoryGiB} GiB, ${machine.system}`);
say(`Node ${machine.node}, ONNX Runtime ${machine.onnxruntime}, load ${machine.load} at the start`);

await using folder = await mkdtempDisposable(join(tmpdir(), 'prefmesh-bench-'));
await writeRandomCheckpoint(folder.path);
await using embedded = await Contender.open(
  'embedded',
  await openCheckpoint('embedded'),
  { batch: 8, prompt: 32, completion: 48, steps: 10 },
  threads,
);
await using smol = await Contender.open(
  'SmolLM2-135M dimensions',
  await openCheckpoint(folder.path),
  { batch: 4, prompt: 64, completion: 64, steps: 1 },
  threads,
);

const contenders = [embedded, smol];
const measured = new Map(contenders.map((contender) => [contender, [] as number[]]));
for (const contender of contenders) await contender.run();
for (let run = 1; run <= runs; run++) {
  for (const contender of contenders) {
    const stepsPerSecond = await contender.run();
    measured.get(contender)!.push(stepsPerSecond);
    say(`run ${run}/${runs}  ${contender.name}  ${stepsPerSecond.toPrecision(3)} steps/s`);
  }
}

const results = contenders.map((contender) => {
  const rates = measured.get(contender)!;
  return {
    model: contender.name,
    ...contender.workload,
    tokensPerStep: contender.tokensPerStep,
    stepsPerSecond: spreadOf(rates),
    tokensPerSecond: spreadOf(rates.map((rate) => rate * contender.tokensPerStep)),
  };
});
const [decoding] = await decodingSection({ runs, threads, say });
if (options.json) {
  process.stdout.write(`${JSON.stringify({ machine, runs, results, decoding })}\n`);
} else {
  process.stdout.write(
    '| model | pairs a step | tokens (prompt + answer) | steps/s | tokens/s |\n|---|---|---|---|---|\n',
  );
  for (const { model, batch, prompt, completion, stepsPerSecond, tokensPerSecond } of results) {
    const cells = [model, batch, `${prompt} + ${completion}`, show(stepsPerSecond), show(tokensPerSecond)];
    process.stdout.write(`| ${cells.join(' | ')} |\n`);
  }
  process.stdout.write(`\n| ${decoding!.columns.join(' | ')} |\n|${'---|'.repeat(decoding!.columns.length)}\n`);
  for (const row of decoding!.rows) process.stdout.write(`| ${row.join(' | ')} |\n`);
}
