/**
 * One process of the 4-bit benchmark: quantises a base if asked for, trains a few steps on 4 pairs of 128 + 128 tokens,
 * and prints its times and its peak memory as JSON.
 */
import type { BasePrecision } from '../../node/commands/basePrecision.ts';
import { openCheckpoint, type Checkpoint } from '../../node/model/checkpoint.ts';
import { quantizeCheckpoint } from '../../node/model/quantization/quantizedBase.ts';
import { initialAdapter } from '../../node/training/adapter.ts';
import { Policy, type TokenizedPair } from '../../node/training/policy.ts';
import { RandomStream } from '../../node/training/randomStream.ts';

export interface FourBitRun {
  readonly model: string;
  readonly cache: string;
  readonly base: BasePrecision;
  readonly activationCheckpointing: boolean;
  /** Steps whose time counts, after one that does not; none at all where 0. */
  readonly steps: number;
  readonly threads: number;
}

export interface FourBitFigures {
  readonly quantiseSeconds: number;
  /** Of the quantised weights; 0 for a full base. */
  readonly weightBytes: number;
  /** Compilation included. */
  readonly firstStepSeconds: number;
  readonly stepSeconds: readonly number[];
  readonly peakBytes: number;
}

const LAYOUT = { rank: 16, targets: ['q_proj', 'k_proj', 'v_proj', 'o_proj'] as const };

const run = JSON.parse(process.argv[2]!) as FourBitRun;
const opened = await openCheckpoint(run.model);
const [quantiseSeconds, checkpoint] = await timed(() => atPrecision(opened));
const times = run.steps === 0 ? [0] : await trainedSteps();
const figures: FourBitFigures = {
  quantiseSeconds,
  weightBytes: checkpoint.quantized?.bytes ?? 0,
  firstStepSeconds: times[0]!,
  stepSeconds: times.slice(1),
  peakBytes: process.resourceUsage().maxRSS * 1024,
};
process.stdout.write(JSON.stringify(figures));

async function atPrecision(original: Checkpoint): Promise<Checkpoint> {
  return run.base === 'full' ? original : quantizeCheckpoint(original, run.base, { folder: run.cache });
}

async function trainedSteps(): Promise<number[]> {
  const { threads, activationCheckpointing, cache: cacheFolder } = run;
  await using policy = await Policy.open({
    ...{ checkpoint, layout: LAYOUT, scale: 2, threads, activationCheckpointing, cacheFolder },
  });
  const pairs = Array.from({ length: 4 }, (_, i): TokenizedPair => {
    const random = new RandomStream('benchmark pair', i);
    const tokens = () => Array.from({ length: 128 }, () => Math.floor(random.uniform() * checkpoint.config.vocabSize));
    return { id: String(i), prompt: tokens(), chosen: tokens(), rejected: tokens() };
  });
  const { vector } = initialAdapter(checkpoint.config, LAYOUT, 2 * LAYOUT.rank, 0);
  const reference = { chosen: new Float64Array(pairs.length), rejected: new Float64Array(pairs.length) };
  const times: number[] = [];
  for (let step = 0; step <= run.steps; step++) {
    const [seconds] = await timed(() =>
      policy.lossAndGradient(pairs, vector, reference, { loss: 'sigmoid', beta: 0.1 }),
    );
    times.push(seconds);
  }
  return times;
}

async function timed<T>(work: () => Promise<T>): Promise<[seconds: number, result: T]> {
  const started = performance.now();
  const result = await work();
  return [(performance.now() - started) / 1000, result];
}
