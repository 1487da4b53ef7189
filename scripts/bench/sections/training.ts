/**
 * Optimiser steps: this engine in its settings, and PyTorch's two ways of writing the same step, taking turns.
 */
import { mkdir, mkdtempDisposable } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ContenderProcess, type Command } from '../contenderProcess.ts';
import { pytorchEnvironment } from '../pytorch/environment.ts';
import type { BenchSettings, SectionResult } from '../section.ts';
import { show, spreadOf } from '../statistics.ts';
import type { ContenderSettings } from '../trainingContender.ts';
import { writeModel, writeWorkload, type ModelName, type WorkloadShape } from '../workload.ts';

/** Steps before those that count: memory is touched for the first time, and files are read. */
const WARM_UP = 2;

const WORKLOADS: readonly { readonly model: ModelName; readonly shape: WorkloadShape }[] = [
  { model: 'tiny', shape: { batch: 2, prompt: 8, completion: 8 } },
  { model: 'embedded', shape: { batch: 8, prompt: 32, completion: 48 } },
  { model: 'SmolLM2-135M dimensions', shape: { batch: 4, prompt: 128, completion: 128 } },
];

/** One pair of the largest workload with its prompt shared. */
const ONE_PAIR = 128 + 2 * 128;

const SETTINGS: Readonly<Record<string, Omit<ContenderSettings, 'device'>>> = {
  prefmesh: {},
  'prefmesh, one pair at once': { tokenBudget: ONE_PAIR },
  'prefmesh, checkpointing': { activationCheckpointing: true },
  'prefmesh, both': { tokenBudget: ONE_PAIR, activationCheckpointing: true },
  'prefmesh, a row for each completion': { rows: 'apart', tokenBudget: 8 * 256 },
};

export async function trainingSection(settings: BenchSettings): Promise<SectionResult[]> {
  const results: SectionResult[] = [];
  for (const { model, shape } of WORKLOADS) {
    if (settings.model === undefined ? model === 'tiny' : !model.includes(settings.model)) continue;
    await using folder = await mkdtempDisposable(join(tmpdir(), 'prefmesh-bench-'));
    const checkpoint = join(folder.path, 'model');
    await mkdir(checkpoint);
    const workload = await writeWorkload(folder.path, await writeModel(checkpoint, model), shape, settings.threads);
    const commands = await commandsOf(model, workload, settings);
    if (commands.length > 0) results.push(await race(model, shape, commands, settings));
  }
  return results;
}

async function commandsOf(
  model: ModelName,
  workload: string,
  { device, against, threads, only, say }: BenchSettings,
): Promise<[name: string, command: Command][]> {
  const contender = join(import.meta.dirname, '..', 'trainingContender.ts');
  const ours = Object.entries(SETTINGS).map(([name, settings]): [string, Command] => [
    name,
    { program: process.execPath, args: [contender, workload, JSON.stringify({ ...settings, device })] },
  ]);
  // The embedded model has neither PyTorch's layout nor its size: there only the plain setting is of interest.
  const commands = model === 'embedded' ? ours.slice(0, 1) : ours;
  if (against === 'pytorch' && model !== 'embedded') {
    const { python, env } = await pytorchEnvironment(threads, say);
    const script = join(import.meta.dirname, '..', 'pytorch', 'step.py');
    for (const way of ['ordinary', 'shortcuts']) {
      commands.push([`PyTorch, ${way}`, { program: python, args: [script, workload, way], env }]);
    }
  }
  const chosen = (only ?? ['']).flatMap((text) => {
    const whole = commands.filter(([name]) => name === text);
    return whole.length > 0 ? whole : commands.filter(([name]) => name.includes(text));
  });
  return commands.filter((command) => chosen.includes(command));
}

async function race(
  model: ModelName,
  { batch, prompt, completion }: WorkloadShape,
  commands: readonly [name: string, command: Command][],
  { runs, device, say }: BenchSettings,
): Promise<SectionResult> {
  await using stack = new AsyncDisposableStack();
  const contenders: { process: ContenderProcess; startSeconds: number; rates: number[]; losses: number[] }[] = [];
  for (const [name, command] of commands) {
    const contender = stack.use(new ContenderProcess(name, command));
    const { startSeconds } = await contender.ready();
    say(`${name}: started in ${startSeconds.toFixed(1)} s`);
    contenders.push({ process: contender, startSeconds, rates: [], losses: [] });
  }
  for (let run = 0; run < WARM_UP + runs; run++) {
    for (const { process, rates, losses } of contenders) {
      const { seconds, loss } = await process.step();
      losses.push(loss);
      if (run >= WARM_UP) rates.push(1 / seconds);
      say(
        `${run < WARM_UP ? 'warm-up' : `run ${run - WARM_UP + 1}/${runs}`}  ${process.name}  ${seconds.toFixed(2)} s`,
      );
    }
  }
  const measured = await Promise.all(
    contenders.map(async (each) => ({
      ...each,
      name: each.process.name,
      rate: spreadOf(each.rates),
      peak: await each.process.end(),
    })),
  );
  const tokens = 2 * batch * (prompt + completion);
  return {
    title: `${model}, ${batch} pairs of ${prompt} + ${completion} tokens, on ${device}`,
    columns: ['contender', 'steps/s', 'tokens/s', 'peak memory, MiB', 'start, s', 'loss of the last step'],
    rows: measured.map(({ name, rate, peak, startSeconds, losses }) => [
      name,
      show(rate),
      (rate.median * tokens).toFixed(0),
      peak.toFixed(0),
      startSeconds.toFixed(1),
      losses.at(-1)!.toFixed(6),
    ]),
    notes: notesOn(measured),
  };
}

/** Agreement of the losses, and ratios to each PyTorch contender. */
function notesOn(
  measured: readonly { name: string; rate: { median: number }; peak: number; losses: readonly number[] }[],
): string[] {
  const first = measured[0]!.losses;
  const apart = Math.max(...measured.flatMap(({ losses }) => losses.map((loss, i) => Math.abs(loss - first[i]!))));
  const notes = [`Losses of ${first.length} steps agree to ${apart.toExponential(1)}.`];
  for (const rival of measured.filter(({ name }) => name.startsWith('PyTorch'))) {
    for (const { name, rate, peak } of measured.filter((each) => !each.name.startsWith('PyTorch'))) {
      const times = (rate.median / rival.rate.median).toFixed(2);
      const share = ((100 * peak) / rival.peak).toFixed(0);
      notes.push(`${name}: ${times} times the steps of ${rival.name}, ${share} % of its memory.`);
    }
  }
  return notes;
}
