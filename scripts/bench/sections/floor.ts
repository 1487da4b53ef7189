/**
 * How far a training step is from what this machine's matrix products allow: the arithmetic of the step's products,
 * at the rate at which the runtime multiplies the model's own matrices and does nothing else.
 */
import { mkdtempDisposable } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Executable, Executor } from '../../../node/engine/executor.ts';
import { input, weight } from '../../../node/engine/graph.ts';
import { matmul } from '../../../node/engine/operators/matmul.ts';
import { sum } from '../../../node/engine/operators/broadcasting.ts';
import { openExecutor } from '../../../node/engine/openExecutor.ts';
import { openCheckpoint, type Checkpoint } from '../../../node/model/checkpoint.ts';
import { projectionName, TARGET_MODULES } from '../../../node/model/projections.ts';
import { initialAdapter } from '../../../node/training/adapter.ts';
import { layOutPairs } from '../../../node/training/preferenceRows.ts';
import { trainingGraph } from '../../../node/training/preferenceGraph.ts';
import { RandomStream } from '../../../node/training/randomStream.ts';
import { matmulFlops } from '../flops.ts';
import { writeRandomCheckpoint } from '../randomCheckpoint.ts';
import type { BenchSettings, SectionResult } from '../section.ts';
import { show, spreadOf, type Spread } from '../statistics.ts';

const SHAPE = { layout: 'shared', pairs: 4, prompt: 128, completion: 128, tokens: 1536, scored: 1024 } as const;
const LAYOUT = { rank: 16, targets: ['q_proj', 'k_proj', 'v_proj', 'o_proj'] as const };
const WARM_UP = 2;
/** A layer's products take a fortieth of a second: too little for one measurement. */
const REPEATS = 16;

export async function floorSection(settings: BenchSettings): Promise<SectionResult[]> {
  await using folder = await mkdtempDisposable(join(tmpdir(), 'prefmesh-bench-'));
  await writeRandomCheckpoint(folder.path);
  const checkpoint = await openCheckpoint(folder.path);
  await using executor = await openExecutor(settings);
  const model = { checkpoint, layout: LAYOUT, scale: 2, headChunk: 1024, activationCheckpointing: false };
  const graph = trainingGraph(model, SHAPE, 'sigmoid');
  const flops = matmulFlops(Object.values(graph));
  const step = await executor.compile(graph);
  const layer = await layerProducts(executor, checkpoint);

  // In turns: a machine that gets busy slows both alike.
  const times = { layer: [] as number[], step: [] as number[] };
  const feeds = stepFeeds(checkpoint);
  for (let run = 0; run < WARM_UP + settings.runs; run++) {
    const [layerSeconds, stepSeconds] = [await timed(layer.executable, layer.feeds, REPEATS), await timed(step, feeds)];
    if (run < WARM_UP) continue;
    times.layer.push(layerSeconds);
    times.step.push(stepSeconds);
    settings.say(
      `run ${run - WARM_UP + 1}/${settings.runs}  products of a layer ${(1000 * layerSeconds).toFixed(1)} ms, step ${stepSeconds.toFixed(2)} s`,
    );
  }
  const rate = spreadOf(times.layer.map((seconds) => layer.flops / seconds / 1e9));
  const taken = spreadOf(times.step);
  const floor = flops / (rate.median * 1e9);
  const ratio = spreadOf(times.step.map((seconds, i) => seconds / ((flops / layer.flops) * times.layer[i]!)));
  return [sectionOf(flops, rate, floor, taken, ratio, settings.device)];
}

function sectionOf(
  flops: number,
  rate: Spread,
  floor: number,
  step: Spread,
  ratio: Spread,
  device: string,
): SectionResult {
  return {
    title: `The floor of a step at SmolLM2-135M dimensions, on ${device}`,
    columns: ['products of a step', 'rate of the model’s products', 'floor', 'step', 'step / floor'],
    rows: [
      [
        `${(flops / 1e12).toFixed(2)} TFLOP`,
        `${show(rate)} GFLOP/s`,
        `${floor.toFixed(2)} s`,
        `${show(step)} s`,
        show(ratio),
      ],
    ],
    notes: [],
  };
}

/** A graph of nothing but the products of one layer's projections with as many tokens as a step has. */
async function layerProducts(executor: Executor, { config, tensors }: Checkpoint) {
  const count = SHAPE.tokens;
  const named = TARGET_MODULES.map((target) => weight(tensors.get(projectionName(0, target))!));
  const widths = [config.hiddenSize, config.intermediateSize];
  const inputs = new Map(widths.map((width) => [width, input(`x${width}`, [count, width])]));
  const products = named.map((w) => matmul(inputs.get(w.shape[1]!)!, w, { transposeB: true }));
  const outputs = Object.fromEntries(products.map((product, i) => [`y${i}`, sum(product, [0, 1])]));
  const random = new RandomStream('benchmark activations');
  const feeds = Object.fromEntries(
    widths.map((width) => [`x${width}`, Float32Array.from({ length: count * width }, () => random.uniform() - 0.5)]),
  );
  return { executable: await executor.compile(outputs), feeds, flops: matmulFlops(products) };
}

function stepFeeds({ config }: Checkpoint): Record<string, Float32Array | Int32Array> {
  const random = new RandomStream('benchmark pair');
  const tokens = (count: number) =>
    Array.from({ length: count }, () => Math.floor(random.uniform() * config.vocabSize));
  const pairs = Array.from({ length: SHAPE.pairs }, (_, i) => ({
    id: String(i),
    prompt: tokens(SHAPE.prompt),
    chosen: tokens(SHAPE.completion),
    rejected: tokens(SHAPE.completion),
  }));
  const each = (value: number) => new Float32Array(SHAPE.pairs).fill(value);
  return {
    ...layOutPairs(pairs, SHAPE),
    adapter: initialAdapter(config, LAYOUT, 2 * LAYOUT.rank, 0).vector,
    beta: Float32Array.of(0.1),
    referenceChosen: each(0),
    referenceRejected: each(0),
    labelSmoothing: Float32Array.of(0),
    sftWeights: each(0),
    weights: each(1 / SHAPE.pairs),
  };
}

/** Seconds of one run, on average over `repeats`. */
async function timed(
  executable: Executable,
  feeds: Record<string, Float32Array | Int32Array>,
  repeats = 1,
): Promise<number> {
  const started = performance.now();
  for (let run = 0; run < repeats; run++) await executable.run(feeds);
  return (performance.now() - started) / 1000 / repeats;
}
