/**
 * How much memory a training step takes, so that `node/training/memory.ts` can be held against it.
 *
 *   node scripts/bench/peakMemory.ts [--json]
 *
 * Every case is one process of its own, which makes two steps on a random checkpoint and reports the most memory that
 * the system ever counted for it (the peak resident set).
 */
import { spawnSync } from 'node:child_process';
import { mkdtempDisposable } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { openCheckpoint } from '../../node/model/checkpoint.ts';
import { quantizeCheckpoint } from '../../node/model/quantization/quantizedBase.ts';
import type { QuantizationScheme } from '../../node/model/quantization/scheme.ts';
import { initialAdapter } from '../../node/training/adapter.ts';
import { Policy, type TokenizedPair } from '../../node/training/policy.ts';
import { RandomStream } from '../../node/training/randomStream.ts';
import { SMOLLM2_135M, writeRandomCheckpoint, type RandomDimensions } from './randomCheckpoint.ts';

interface MemoryCase {
  readonly dimensions: RandomDimensions;
  readonly pairs: number;
  readonly prompt: number;
  readonly completion: number;
  readonly checkpointing: boolean;
  /** How the frozen projections are held; in full where it is absent. */
  readonly base?: QuantizationScheme;
}

const TARGETS = ['q_proj', 'k_proj', 'v_proj', 'o_proj'] as const;

async function peakOf(folder: string, { pairs, prompt, completion, checkpointing, base }: MemoryCase): Promise<number> {
  const full = await openCheckpoint(folder);
  const checkpoint = base === undefined ? full : await quantizeCheckpoint(full, base, { folder });
  const layout = { rank: 16, targets: TARGETS };
  const { vector } = initialAdapter(checkpoint.config, layout, 32, 0);
  await using policy = await Policy.open({
    checkpoint,
    layout,
    scale: 2,
    tokenBudget: 2 ** 20,
    activationCheckpointing: checkpointing,
  });
  const made = randomPairs(pairs, prompt, completion, checkpoint.config.vocabSize);
  const reference = { chosen: new Float64Array(pairs), rejected: new Float64Array(pairs) };
  for (let step = 0; step < 2; step++)
    await policy.lossAndGradient(made, vector, reference, { loss: 'sigmoid', beta: 0.1 });
  return process.resourceUsage().maxRSS * 1024;
}

function randomPairs(pairs: number, prompt: number, completion: number, vocabulary: number): TokenizedPair[] {
  const random = new RandomStream('pairs of the memory benchmark');
  const tokens = (count: number) => Array.from({ length: count }, () => Math.floor(random.uniform() * vocabulary));
  return Array.from({ length: pairs }, (_, i) => ({
    id: String(i),
    prompt: tokens(prompt),
    chosen: tokens(completion),
    rejected: tokens(completion),
  }));
}

const SMOL = SMOLLM2_135M;
const TINY = { hidden: 64, feedForward: 128, layers: 2, heads: 2, kvHeads: 1, vocabulary: 512 };
const base = { pairs: 4, prompt: 64, completion: 64, checkpointing: false };

const CASES: readonly MemoryCase[] = [
  { ...base, dimensions: TINY, pairs: 1, prompt: 16, completion: 16 },
  { ...base, dimensions: { ...SMOL, layers: 4, vocabulary: 512 } },
  { ...base, dimensions: { ...SMOL, layers: 8, vocabulary: 512 } },
  { ...base, dimensions: { ...SMOL, layers: 8, vocabulary: 512 }, pairs: 8 },
  { ...base, dimensions: { ...SMOL, layers: 8, vocabulary: 512 }, checkpointing: true },
  { ...base, dimensions: { ...SMOL, layers: 8, vocabulary: 512 }, pairs: 8, checkpointing: true },
  { ...base, dimensions: { ...SMOL, layers: 8, vocabulary: 512, feedForward: 4608 } },
  { ...base, dimensions: { ...SMOL, layers: 8, vocabulary: 512, heads: 18, kvHeads: 6 } },
  { ...base, dimensions: { ...SMOL, layers: 8, vocabulary: 512, heads: 9, kvHeads: 9 } },
  { ...base, dimensions: { ...SMOL, layers: 8, vocabulary: 512 }, pairs: 1, prompt: 512, completion: 256 },
  { ...base, dimensions: { ...SMOL, layers: 8, vocabulary: 49152 } },
  { ...base, dimensions: { ...SMOL, layers: 8, vocabulary: 49152 }, completion: 128 },
  { ...base, dimensions: { hidden: 1024, feedForward: 2816, layers: 8, heads: 16, kvHeads: 8, vocabulary: 4096 } },
  { ...base, dimensions: { ...SMOL, layers: 8 }, checkpointing: true, base: 'nf4' },
  { ...base, dimensions: { ...SMOL, layers: 8 }, checkpointing: true, base: 'int4' },
  { ...base, dimensions: SMOL, prompt: 128, completion: 128, checkpointing: true, base: 'nf4' },
  { ...base, dimensions: SMOL, prompt: 128, completion: 128, checkpointing: true },
  { ...base, dimensions: SMOL, prompt: 128, completion: 128 },
  { ...base, dimensions: { ...SMOL, dtype: 'BF16' }, prompt: 128, completion: 128 },
  { ...base, dimensions: { ...SMOL, dtype: 'BF16' }, prompt: 128, completion: 128, checkpointing: true, base: 'nf4' },
];

const [first, ...rest] = process.argv.slice(2);
if (first === '--one') {
  process.stdout.write(String(await peakOf(rest[0]!, JSON.parse(rest[1]!) as MemoryCase)));
} else {
  const results = [];
  for (const one of CASES) {
    await using folder = await mkdtempDisposable(join(tmpdir(), 'prefmesh-memory-'));
    await writeRandomCheckpoint(folder.path, one.dimensions);
    // Made here, so that making it is not measured.
    if (one.base !== undefined) {
      await quantizeCheckpoint(await openCheckpoint(folder.path), one.base, { folder: folder.path });
    }
    const args = [fileURLToPath(import.meta.url), '--one', folder.path, JSON.stringify(one)];
    const child = spawnSync(process.execPath, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'inherit'] });
    const peak = Number(child.stdout);
    results.push({ ...one, peak });
    process.stderr.write(`${JSON.stringify(one)} ${(peak / 2 ** 20).toFixed(0)} MiB\n`);
  }
  process.stdout.write(`${JSON.stringify(results, null, 2)}\n`);
}
