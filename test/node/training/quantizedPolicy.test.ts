import assert from 'node:assert/strict';
import { mkdtempDisposable } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openCheckpoint, type Checkpoint } from '../../../node/model/checkpoint.ts';
import { Generator } from '../../../node/model/generation.ts';
import { quantizeCheckpoint } from '../../../node/model/quantization/quantizedBase.ts';
import { QUANTIZATION_SCHEMES } from '../../../node/model/quantization/scheme.ts';
import { TARGET_MODULES } from '../../../node/model/projections.ts';
import { initialAdapter } from '../../../node/training/adapter.ts';
import { Policy, type TokenizedPair } from '../../../node/training/policy.ts';
import { RandomStream } from '../../../node/training/randomStream.ts';
import { dequantizedCopy } from '../model/quantization/dequantizedCopy.ts';

const LAYOUT = { rank: 4, targets: TARGET_MODULES };
const SCALE = 2;

/** Tokens of different lengths. */
function pairs(): TokenizedPair[] {
  const random = new RandomStream('quantised pairs');
  const tokens = (count: number): number[] => Array.from({ length: count }, () => Math.floor(random.uniform() * 256));
  return [3, 9, 17].map((count, i) => {
    return { id: `${i}`, prompt: tokens(count), chosen: tokens(count + 2), rejected: tokens(count + 5) };
  });
}

/** An adapter whose factors are all away from zero, so that every gradient is too. */
function adapterOf({ config }: Checkpoint): Float32Array {
  const random = new RandomStream('quantised adapter');
  return initialAdapter(config, LAYOUT, SCALE * LAYOUT.rank, 1).vector.map(() => (random.uniform() - 0.5) / 5);
}

const norm = (vector: Float32Array): number => Math.sqrt(vector.reduce((total, x) => total + x * x, 0));

for (const model of ['llama', 'qwen2']) {
  for (const scheme of QUANTIZATION_SCHEMES) {
    describe(`${model} over projections in ${scheme}`, function () {
      this.timeout(60_000);
      let folder: Awaited<ReturnType<typeof mkdtempDisposable>>;
      let [packed, plain]: Checkpoint[] = [];
      before(async () => {
        folder = await mkdtempDisposable(join(tmpdir(), 'prefmesh-quantized-'));
        const checkpoint = await openCheckpoint(`test/oracle/${model}/model`);
        packed = await quantizeCheckpoint(checkpoint, scheme, { folder: join(folder.path, 'packed') });
        plain = await dequantizedCopy(checkpoint, scheme, join(folder.path, 'plain'));
      });
      after(() => folder.remove());

      const ask = async (checkpoint: Checkpoint, activationCheckpointing: boolean) => {
        const options = { checkpoint, layout: LAYOUT, scale: SCALE, threads: 1, activationCheckpointing };
        await using policy = await Policy.open(options);
        const bare = await policy.logProbs(pairs(), null);
        const step = await policy.lossAndGradient(pairs(), adapterOf(checkpoint), bare, { loss: 'sigmoid', beta: 0.1 });
        return { bare, ...step };
      };

      for (const checkpointing of [false, true]) {
        it(`trains as over their float32 values, activations ${checkpointing ? 'computed again' : 'kept'}`, async () => {
          const [actual, expected] = [await ask(packed!, checkpointing), await ask(plain!, checkpointing)];
          for (const key of ['chosen', 'rejected'] as const) {
            for (const [i, value] of expected[key].entries()) {
              assert.ok(Math.abs(actual[key][i]! / value - 1) < 1e-5, `${key} ${i}: ${actual[key][i]} is not ${value}`);
              assert.ok(Math.abs(actual.bare[key][i]! / expected.bare[key][i]! - 1) < 1e-5, `${key} of the base`);
            }
          }
          assert.ok(Math.abs(actual.loss / expected.loss - 1) < 1e-5);
          const difference = norm(actual.gradient.map((g, i) => g - expected.gradient[i]!));
          assert.ok(difference < 1e-5 * norm(expected.gradient), `gradient off by ${difference}`);
        });
      }

      it('is another model than the one it was made from', async () => {
        const { quantized: _, ...original } = packed!;
        const [actual, full] = [await ask(packed!, false), await ask(original, false)];
        assert.ok(Math.abs(actual.bare.chosen[0]! - full.bare.chosen[0]!) > 1e-3);
      });

      it('generates the tokens that their float32 values give', async () => {
        const answers = [];
        for (const checkpoint of [packed!, plain!]) {
          const adapter = { vector: adapterOf(checkpoint), layout: LAYOUT, scale: SCALE };
          await using generator = await Generator.open({ checkpoint, adapter, threads: 1 });
          answers.push(await generator.generate([[1, 2, 3], [4]], { maxTokens: 12 }));
        }
        assert.deepEqual(answers[0], answers[1]);
      });
    });
  }
}
