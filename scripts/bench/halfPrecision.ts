/**
 * How far training in half precision is from float32: log-probabilities, loss and gradient, on the oracle's tiny models
 * and on one of the dimensions of SmolLM2-135M.
 *
 *   node scripts/bench/halfPrecision.ts
 *
 * On the processor, which makes the roundings of half precision and sums in float32. It takes about 3 GB of memory.
 */
import { readdirSync } from 'node:fs';
import { mkdtempDisposable } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openCheckpoint, type Checkpoint } from '../../node/model/checkpoint.ts';
import { Tokenizer } from '../../node/model/tokenizer.ts';
import { readPairs } from '../../node/preferences/pairs.ts';
import { initialAdapter } from '../../node/training/adapter.ts';
import { readPeftAdapter } from '../../node/training/peft.ts';
import { Policy, type AdapterLayout, type PairLogProbs, type TokenizedPair } from '../../node/training/policy.ts';
import { RandomStream } from '../../node/training/randomStream.ts';
import { tokenizePairs } from '../../node/training/tokenization.ts';
import { writeRandomCheckpoint } from './randomCheckpoint.ts';

interface Subject {
  readonly name: string;
  readonly checkpoint: Checkpoint;
  readonly layout: AdapterLayout;
  readonly scale: number;
  readonly adapter: Float32Array;
  readonly pairs: readonly TokenizedPair[];
}

const ORACLE = 'test/oracle';

async function oracle(name: string): Promise<Subject> {
  const folder = join(ORACLE, name);
  const checkpoint = await openCheckpoint(join(folder, 'model'));
  const tokenizer = await Tokenizer.open(checkpoint.folder);
  const { pairs } = tokenizePairs(tokenizer, await readPairs(join(folder, 'pairs.jsonl')), { maxLength: 512 });
  const adapter = await readPeftAdapter(join(folder, 'adapter'), checkpoint.config);
  return { name, checkpoint, layout: adapter, scale: adapter.alpha / adapter.rank, adapter: adapter.vector, pairs };
}

/** Random weights, an adapter a little way off its start, two pairs of 64 + 64 random tokens. */
async function large(folder: string): Promise<Subject> {
  await writeRandomCheckpoint(folder);
  const checkpoint = await openCheckpoint(folder);
  const layout: AdapterLayout = { rank: 16, targets: ['q_proj', 'k_proj', 'v_proj', 'o_proj'] };
  const random = new RandomStream('half precision');
  const { vector } = initialAdapter(checkpoint.config, layout, 32, 0);
  const adapter = vector.map((value) => value + 0.01 * (random.uniform() - 0.5));
  const tokens = (): number[] => Array.from({ length: 64 }, () => Math.floor(random.uniform() * 49152));
  const pairs = ['0', '1'].map((id) => ({ id, prompt: tokens(), chosen: tokens(), rejected: tokens() }));
  return { name: "SmolLM2-135M's dimensions", checkpoint, layout, scale: 2, adapter, pairs };
}

async function show({ name, adapter, pairs, ...opening }: Subject): Promise<void> {
  await using full = await Policy.open(opening);
  const reference = await full.logProbs(pairs, null);
  const run = async (policy: Policy) => ({
    scored: await policy.logProbs(pairs, adapter),
    slope: await policy.lossAndGradient(pairs, adapter, reference, { loss: 'sigmoid', beta: 0.1 }),
  });
  const right = await run(full);
  await using rounded = await Policy.open({ ...opening, precision: 'float16' });
  const half = await run(rounded);
  const cells = [
    name,
    furthest(half.scored, right.scored).toFixed(4),
    Math.abs(half.slope.loss - right.slope.loss).toExponential(1),
    relativeError(half.slope.gradient, right.slope.gradient).toExponential(1),
  ];
  process.stdout.write(`| ${cells.join(' | ')} |\n`);
}

/** The largest difference of a log-probability, in nats. */
function furthest(a: PairLogProbs, b: PairLogProbs): number {
  const differences = (['chosen', 'rejected'] as const).flatMap((side) =>
    Array.from(a[side], (value, i) => Math.abs(value - b[side][i]!)),
  );
  return Math.max(...differences);
}

function relativeError(actual: Float32Array, right: Float32Array): number {
  const length = (at: (i: number) => number): number => Math.sqrt(right.reduce((sum, _, i) => sum + at(i) ** 2, 0));
  return length((i) => actual[i]! - right[i]!) / length((i) => right[i]!);
}

process.stdout.write('| model | log-probability, nats | DPO loss | gradient, relative |\n|---|---|---|---|\n');
const cases = readdirSync(ORACLE, { withFileTypes: true }).filter((entry) => entry.isDirectory());
for (const { name } of cases) await show(await oracle(name));
await using folder = await mkdtempDisposable(join(tmpdir(), 'prefmesh-bench-'));
await show(await large(folder.path));
