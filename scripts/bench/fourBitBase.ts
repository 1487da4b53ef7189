/**
 * What a base in 4 bits saves and costs: time and peak memory of a training step, for a model of the size of
 * SmolLM2-135M or of Llama-3.2-1B, of random weights.
 *
 *   npm run bench -- --base full,nf4,int4 [--model-size 135m|1b] [--activation-checkpointing true,false]
 *                    [--steps N] [--runs N] [--threads N] [--json]
 *
 * Every figure comes from a process of its own, so that its peak is its own. The contenders take turns; each process
 * makes one step first whose time does not count. Peak memory is the largest resident set, the pages of weight files
 * that it touches included.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempDisposable } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { BASE_PRECISIONS, type BasePrecision } from '../../node/commands/basePrecision.ts';
import { integerValue, listValue } from '../../node/commands/values.ts';
import type { FourBitFigures, FourBitRun } from './fourBitRun.ts';
import { describeMachine } from './machine.ts';
import { LLAMA_3_2_1B, SMOLLM2_135M, writeRandomCheckpoint } from './randomCheckpoint.ts';
import { show, spreadOf } from './statistics.ts';

const { values: options } = parseArgs({
  options: {
    base: { type: 'string', default: BASE_PRECISIONS.join(',') },
    'model-size': { type: 'string', default: '135m' },
    'activation-checkpointing': { type: 'string', default: 'true,false' },
    steps: { type: 'string', default: '3' },
    runs: { type: 'string', default: '3' },
    threads: { type: 'string', default: '2' },
    json: { type: 'boolean', default: false },
  },
});
const count = integerValue({ min: 1 });
const SIZES = {
  '135m': { name: 'SmolLM2-135M', dimensions: SMOLLM2_135M },
  '1b': { name: 'Llama-3.2-1B', dimensions: LLAMA_3_2_1B },
};
const sizes = Object.keys(SIZES) as (keyof typeof SIZES)[];
const size = listValue(sizes)(options['model-size'])[0]!;
const bases = listValue(BASE_PRECISIONS)(options.base) as BasePrecision[];
const recomputed = listValue(['true', 'false'] as const)(options['activation-checkpointing']).map((s) => s === 'true');
const [steps, runs, threads] = [count(options.steps), count(options.runs), count(options.threads)];
const say = (line: string) => process.stderr.write(`${line}\n`);

const machine = describeMachine();
say(`${machine.processor}, ${machine.cores} cores, ${machine.memoryGiB} GiB, ${machine.system}`);
say(`Node ${machine.node}, ONNX Runtime ${machine.onnxruntime}, load ${machine.load} at the start`);
await using folder = await mkdtempDisposable(join(tmpdir(), 'prefmesh-bench-'));
say(`writing random weights of the dimensions of ${SIZES[size].name}`);
await writeRandomCheckpoint(folder.path, SIZES[size].dimensions);

const common = { model: folder.path, cache: join(folder.path, 'cache'), threads };
const quantising = new Map<BasePrecision, FourBitFigures>();
for (const base of bases) {
  if (base === 'full') continue;
  const figures = await measure({ ...common, base, activationCheckpointing: true, steps: 0 });
  quantising.set(base, figures);
  say(`quantised to ${base} in ${figures.quantiseSeconds.toFixed(1)} s, peak ${megabytes(figures.peakBytes)}`);
}
const contenders = bases.flatMap((base) => {
  return recomputed.map((activationCheckpointing) => ({
    base,
    activationCheckpointing,
    figures: [] as FourBitFigures[],
  }));
});
for (let run = 1; run <= runs; run++) {
  for (const { base, activationCheckpointing, figures } of contenders) {
    const measured = await measure({ ...common, base, activationCheckpointing, steps });
    figures.push(measured);
    const seconds = measured.stepSeconds.map((each) => each.toFixed(2)).join(' ');
    const how = activationCheckpointing ? 'computed again' : 'kept';
    say(`run ${run}/${runs}  ${base}, activations ${how}  ${seconds} s  ${megabytes(measured.peakBytes)}`);
  }
}

const results = contenders.map(({ base, activationCheckpointing, figures }) => ({
  base,
  activationCheckpointing,
  secondsPerStep: spreadOf(figures.flatMap(({ stepSeconds }) => stepSeconds)),
  firstStepSeconds: spreadOf(figures.map(({ firstStepSeconds }) => firstStepSeconds)),
  peakMegabytes: spreadOf(figures.map(({ peakBytes }) => peakBytes / 1e6)),
  weightMegabytes: (quantising.get(base)?.weightBytes ?? 0) / 1e6,
}));
if (options.json) {
  process.stdout.write(`${JSON.stringify({ machine, model: size, steps, runs, results })}\n`);
} else {
  process.stdout.write('| base | activations | first step, s | s a step | peak memory, MB |\n|---|---|---|---|---|\n');
  for (const { base, activationCheckpointing, ...figures } of results) {
    const spreads = [figures.firstStepSeconds, figures.secondsPerStep, figures.peakMegabytes].map(show);
    const cells = [base, activationCheckpointing ? 'computed again' : 'kept', ...spreads];
    process.stdout.write(`| ${cells.join(' | ')} |\n`);
  }
}

async function measure(run: FourBitRun): Promise<FourBitFigures> {
  const program = fileURLToPath(new URL('./fourBitRun.ts', import.meta.url));
  const child = spawn(process.execPath, [program, JSON.stringify(run)], { stdio: ['ignore', 'pipe', 'inherit'] });
  const [output] = await Promise.all([text(child.stdout), once(child, 'close')]);
  if (child.exitCode !== 0) throw new Error(`a run ended with ${child.exitCode ?? child.signalCode}`);
  return JSON.parse(output) as FourBitFigures;
}

function megabytes(bytes: number): string {
  return `${(bytes / 1e6).toFixed(0)} MB`;
}
