/**
 * The workload that contenders share: a checkpoint, an adapter to start from and pairs, written to one folder, so that
 * each contender can be a process of its own, in whatever language.
 */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { openCheckpoint } from '../../node/model/checkpoint.ts';
import { initialAdapter } from '../../node/training/adapter.ts';
import type { TokenizedPair } from '../../node/training/policy.ts';
import { RandomStream } from '../../node/training/randomStream.ts';
import { SMOLLM2_135M, writeRandomCheckpoint, type RandomDimensions } from './randomCheckpoint.ts';

export interface WorkloadShape {
  /** Pairs of a step. */
  readonly batch: number;
  /** Tokens of a prompt, and of each of its two completions. */
  readonly prompt: number;
  readonly completion: number;
}

/** What a contender reads. */
export interface Workload {
  /** The checkpoint's folder, or `embedded`. */
  readonly checkpoint: string;
  /** The flat adapter to start from, float32. */
  readonly adapter: string;
  readonly pairs: readonly TokenizedPair[];
  readonly rank: number;
  readonly scale: number;
  readonly targets: readonly ('q_proj' | 'k_proj' | 'v_proj' | 'o_proj')[];
  readonly beta: number;
  readonly learningRate: number;
  readonly maxGradNorm: number;
  readonly threads: number;
}

/** The models of the benchmark. The tiny one shows that everything runs, on a device of whatever speed. */
export type ModelName = 'tiny' | 'embedded' | 'SmolLM2-135M dimensions';

const TINY: RandomDimensions = { hidden: 64, feedForward: 96, layers: 2, heads: 4, kvHeads: 2, vocabulary: 300 };

const RANK = 16;
const TARGETS = ['q_proj', 'k_proj', 'v_proj', 'o_proj'] as const;

/** Writes the checkpoint, where it is not the embedded one. */
export async function writeModel(folder: string, model: ModelName): Promise<string> {
  if (model === 'embedded') return 'embedded';
  await writeRandomCheckpoint(folder, model === 'tiny' ? TINY : SMOLLM2_135M);
  return folder;
}

/** Writes a workload into `folder`; answers the file that describes it. */
export async function writeWorkload(
  folder: string,
  checkpoint: string,
  shape: WorkloadShape,
  threads: number,
): Promise<string> {
  const { config } = await openCheckpoint(checkpoint);
  const { vector } = initialAdapter(config, { rank: RANK, targets: TARGETS }, 2 * RANK, 0);
  // B is zero in a fresh adapter, and the loss then ln 2 whatever the model computes: start a little further on.
  for (let i = 0; i < vector.length; i++) vector[i]! += 0.001 * Math.sin(i);
  const adapter = join(folder, 'adapter.f32');
  await writeFile(adapter, vector);
  const pairs = randomPairs(shape, config.vocabSize);
  const workload: Workload = {
    checkpoint,
    adapter,
    pairs,
    rank: RANK,
    scale: 2,
    targets: TARGETS,
    beta: 0.1,
    learningRate: 1e-4,
    maxGradNorm: 1,
    threads,
  };
  const file = join(folder, 'workload.json');
  await writeFile(file, JSON.stringify(workload));
  return file;
}

/** Pairs of random tokens, the same in every run. */
function randomPairs({ batch, prompt, completion }: WorkloadShape, vocabulary: number): TokenizedPair[] {
  return Array.from({ length: batch }, (_, i) => {
    const random = new RandomStream('benchmark pair', i);
    const tokens = (count: number) => Array.from({ length: count }, () => Math.floor(random.uniform() * vocabulary));
    return { id: String(i), prompt: tokens(prompt), chosen: tokens(completion), rejected: tokens(completion) };
  });
}
