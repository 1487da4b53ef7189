import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { openCheckpoint, type Checkpoint } from '../../../node/model/checkpoint.ts';
import { readSafetensorsIndex, readTensor } from '../../../node/model/safetensors.ts';
import { adapterVectorLength, adapterVectorTable, type AdapterLayout } from '../../../node/training/adapterVector.ts';
import { Policy, type TokenizedPair } from '../../../node/training/policy.ts';
import type { RowLayout } from '../../../node/training/preferenceRows.ts';

interface OracleCase {
  readonly checkpoint: Checkpoint;
  readonly layout: AdapterLayout;
  readonly scale: number;
  readonly adapter: Float32Array;
  readonly pairs: TokenizedPair[];
  readonly expected: {
    beta: number;
    score: { chosen: number; rejected: number; ref_chosen: number; ref_rejected: number }[];
    loss0: number;
    grad_norm0: number;
  };
}

const END = 256;

async function oracleCase(name: string): Promise<OracleCase> {
  const folder = fileURLToPath(new URL(`../../oracle/${name}/`, import.meta.url));
  const text = (file: string): string => readFileSync(folder + file, 'utf8');
  const checkpoint = await openCheckpoint(`${folder}model`);
  const { r, lora_alpha, target_modules } = JSON.parse(text('adapter/adapter_config.json'));
  const layout = { rank: r, targets: target_modules };
  const table = adapterVectorTable(checkpoint.config, layout);
  const adapter = new Float32Array(adapterVectorLength(table));
  const { tensors } = readSafetensorsIndex(`${folder}adapter/adapter_model.safetensors`);
  for (const { name: key, offset } of table) adapter.set(readTensor(tensors.get(key)!), offset);
  const bytes = (words: string): number[] => [...Buffer.from(words)];
  const pairs = text('pairs.jsonl')
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line))
    .map(({ id, prompt, chosen, rejected }) => ({
      id,
      prompt: bytes(prompt),
      chosen: [...bytes(chosen), END],
      rejected: [...bytes(rejected), END],
    }));
  const expected = JSON.parse(text('expected.json'));
  return { checkpoint, layout, scale: lora_alpha / r, adapter, pairs, expected };
}

function relativeError(actual: number, expected: number): number {
  return Math.abs(actual - expected) / Math.abs(expected);
}

const norm = (vector: Float32Array): number => Math.sqrt(vector.reduce((total, x) => total + x * x, 0));

for (const name of ['llama', 'qwen2']) {
  describe(`the policy on the ${name} oracle`, () => {
    let oracle: OracleCase;
    before(async () => {
      oracle = await oracleCase(name);
    });

    const withPolicy = async <T>(
      options: { rows?: RowLayout; tokenBudget?: number; headChunk?: number; activationCheckpointing?: boolean },
      use: (policy: Policy) => Promise<T>,
    ): Promise<T> => {
      const { checkpoint, layout, scale } = oracle;
      await using policy = await Policy.open({ checkpoint, layout, scale, threads: 1, ...options });
      return await use(policy);
    };

    for (const rows of ['apart', 'shared'] as const) {
      it(`gives the oracle's log-probabilities, loss and gradient norm with prompts ${rows}`, async () => {
        await withPolicy({ rows }, async (policy) => {
          const { pairs, adapter, expected } = oracle;
          const scored = await policy.logProbs(pairs, adapter);
          const reference = await policy.logProbs(pairs, null);
          for (const [i, row] of expected.score.entries()) {
            assert.ok(relativeError(scored.chosen[i]!, row.chosen) < 1e-5, `chosen of pair ${i}`);
            assert.ok(relativeError(scored.rejected[i]!, row.rejected) < 1e-5, `rejected of pair ${i}`);
            assert.ok(relativeError(reference.chosen[i]!, row.ref_chosen) < 1e-5, `reference, chosen of pair ${i}`);
            assert.ok(relativeError(reference.rejected[i]!, row.ref_rejected) < 1e-5, `reference, rejected of ${i}`);
          }
          const step = await policy.lossAndGradient(pairs, adapter, reference, {
            loss: 'sigmoid',
            beta: expected.beta,
          });
          assert.ok(relativeError(step.loss, expected.loss0) < 1e-5, `loss ${step.loss}`);
          assert.ok(relativeError(norm(step.gradient), expected.grad_norm0) < 1e-5, `norm ${norm(step.gradient)}`);
          assert.equal(step.gradient.length, policy.parameterCount);
        });
      });
    }

    it('gives the same gradient whether prompts are shared or apart, in one batch or several', async () => {
      const { pairs, adapter, expected } = oracle;
      const gradientOf = (options: Parameters<typeof withPolicy>[0]) =>
        withPolicy(options, async (policy) => {
          const reference = await policy.logProbs(pairs, null);
          return (await policy.lossAndGradient(pairs, adapter, reference, { loss: 'sigmoid', beta: expected.beta }))
            .gradient;
        });
      const whole = await gradientOf({ rows: 'apart' });
      for (const options of [{ rows: 'shared' }, { rows: 'shared', tokenBudget: 1, headChunk: 7 }] as const) {
        const other = await gradientOf(options);
        const difference = norm(other.map((x, i) => x - whole[i]!));
        assert.ok(difference < 1e-5 * norm(whole), `${JSON.stringify(options)}: ${difference}`);
      }
    });

    for (const rows of ['apart', 'shared'] as const) {
      it(`gives the same gradient to the bit with activations computed again, prompts ${rows}`, async () => {
        const { pairs, adapter, expected } = oracle;
        const stepOf = (activationCheckpointing: boolean) =>
          withPolicy({ rows, activationCheckpointing }, async (policy) => {
            const reference = await policy.logProbs(pairs, null);
            return policy.lossAndGradient(pairs, adapter, reference, { loss: 'sigmoid', beta: expected.beta });
          });
        assert.deepEqual(await stepOf(true), await stepOf(false));
      });
    }

    it('starts at a loss of ln 2 and repeats itself bit for bit', async () => {
      await withPolicy({}, async (policy) => {
        const { pairs, adapter } = oracle;
        const zero = new Float32Array(adapter.length);
        const reference = await policy.logProbs(pairs, null);
        const { loss } = await policy.lossAndGradient(pairs, zero, reference, { loss: 'sigmoid', beta: 0.1 });
        assert.equal(loss, Math.LN2);
        const first = await policy.lossAndGradient(pairs, adapter, reference, { loss: 'sigmoid', beta: 0.1 });
        const second = await policy.lossAndGradient(pairs, adapter, reference, { loss: 'sigmoid', beta: 0.1 });
        assert.deepEqual(first, second);
      });
    });
  });
}

describe('the policy', () => {
  it('stops when asked to', async () => {
    const { checkpoint, layout, scale, pairs } = await oracleCase('llama');
    await using policy = await Policy.open({ checkpoint, layout, scale, threads: 1 });
    await assert.rejects(policy.logProbs(pairs, null, { signal: AbortSignal.abort() }), { name: 'AbortError' });
  });
});
