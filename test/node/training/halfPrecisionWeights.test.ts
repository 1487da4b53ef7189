import assert from 'node:assert/strict';
import { copyFile, mkdir, mkdtempDisposable } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openCheckpoint } from '../../../node/model/checkpoint.ts';
import { readTensor } from '../../../node/model/safetensors.ts';
import { streamSafetensors } from '../../../node/model/safetensorsStream.ts';
import { initialAdapter } from '../../../node/training/adapter.ts';
import type { AdapterLayout } from '../../../node/training/adapterVector.ts';
import { Policy } from '../../../node/training/policy.ts';
import { RandomStream } from '../../../node/training/randomStream.ts';
import { writeRandomCheckpoint } from '../../../scripts/bench/randomCheckpoint.ts';

/** More tokens than the head sees at once, as every published checkpoint has. */
const VOCABULARY = 9000;
const LAYOUT: AdapterLayout = { rank: 2, targets: ['q_proj', 'v_proj'] };
const TINY = { hidden: 64, feedForward: 64, layers: 1, heads: 1, kvHeads: 1, vocabulary: VOCABULARY };

/** The same checkpoint with every weight written as float32. */
async function float32Copy(from: string, to: string): Promise<void> {
  await mkdir(to);
  await copyFile(join(from, 'config.json'), join(to, 'config.json'));
  const { tensors } = await openCheckpoint(from);
  const plan = [...tensors].map(([name, { shape }]) => ({ name, dtype: 'F32', shape }) as const);
  const contents = [...tensors.values()].map((each) => new Uint8Array(readTensor(each).buffer));
  await streamSafetensors(join(to, 'model.safetensors'), plan, contents);
}

describe('a checkpoint in bfloat16 with a large vocabulary', function () {
  this.timeout(60_000);

  it('trains and scores exactly as its float32 copy does', async () => {
    await using folder = await mkdtempDisposable(join(tmpdir(), 'prefmesh-bfloat16-'));
    const [half, full] = [join(folder.path, 'half'), join(folder.path, 'full')];
    await mkdir(half);
    await writeRandomCheckpoint(half, { ...TINY, dtype: 'BF16' });
    await float32Copy(half, full);
    const random = new RandomStream('tokens of the whole vocabulary');
    const tokens = (count: number) => Array.from({ length: count }, () => Math.floor(random.uniform() * VOCABULARY));
    const pairs = [7, 12].map((count, i) => {
      return { id: `${i}`, prompt: tokens(count), chosen: tokens(count), rejected: tokens(count + 3) };
    });
    const results = [];
    for (const model of [half, full]) {
      const checkpoint = await openCheckpoint(model);
      const cacheFolder = join(folder.path, 'cache');
      await using policy = await Policy.open({ checkpoint, layout: LAYOUT, scale: 2, threads: 1, cacheFolder });
      const adapter = initialAdapter(checkpoint.config, LAYOUT, 4, 1).vector;
      const bare = await policy.logProbs(pairs, null);
      results.push({ bare, step: await policy.lossAndGradient(pairs, adapter, bare, { loss: 'sigmoid', beta: 0.1 }) });
    }
    assert.ok(results[0]!.step.gradient.some((each) => each !== 0));
    assert.deepEqual(results[0], results[1]);
  });
});
