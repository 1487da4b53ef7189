import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { scorePairs } from '../../../node/evaluation/scoring.ts';
import { openCheckpoint } from '../../../node/model/checkpoint.ts';
import { Tokenizer } from '../../../node/model/tokenizer.ts';
import { readPairs } from '../../../node/preferences/pairs.ts';
import { readPeftAdapter } from '../../../node/training/peft.ts';
import { Policy } from '../../../node/training/policy.ts';
import { tokenizePairs } from '../../../node/training/tokenization.ts';
import { trainAdapter } from '../../../node/training/trainer.ts';
import { ORACLE_CASES, oracleFolder, type OracleCase } from '../../oracle/oracleCase.ts';

const near = (actual: number, expected: number, relative: number, what: string) =>
  assert.ok(Math.abs(actual - expected) <= relative * Math.abs(expected), `${what}: ${actual} is not ${expected}`);

for (const name of ORACLE_CASES) {
  describe(`an independent implementation in float64, ${name}, agrees with`, () => {
    const folder = oracleFolder(name);

    async function open() {
      const expected = JSON.parse(await readFile(join(folder, 'expected.json'), 'utf8')) as OracleCase;
      const checkpoint = await openCheckpoint(join(folder, 'model'));
      const tokenizer = await Tokenizer.open(checkpoint.folder);
      const { pairs } = tokenizePairs(tokenizer, await readPairs(join(folder, 'pairs.jsonl')), { maxLength: 512 });
      const adapter = await readPeftAdapter(join(folder, 'adapter'), checkpoint.config);
      const policy = await Policy.open({
        checkpoint,
        layout: adapter,
        scale: adapter.alpha / adapter.rank,
        threads: 1,
      });
      return { expected, pairs, adapter, policy };
    }

    it('the log-probabilities under adapter and base', async () => {
      const { expected, pairs, adapter, policy: opened } = await open();
      await using policy = opened;
      const { candidate, reference } = await scorePairs(policy, pairs, adapter.vector);
      for (const [i, row] of expected.score.entries()) {
        assert.equal(pairs[i]!.id, row.id);
        near(candidate.chosen[i]!, row.chosen, 1e-4, `chosen of ${row.id}`);
        near(candidate.rejected[i]!, row.rejected, 1e-4, `rejected of ${row.id}`);
        near(reference.chosen[i]!, row.ref_chosen, 1e-4, `reference chosen of ${row.id}`);
        near(reference.rejected[i]!, row.ref_rejected, 1e-4, `reference rejected of ${row.id}`);
      }
    });

    // Micro-batches of 4 are the whole set; those of 1, 2 and 3 must give the same mean over it.
    for (const batchSize of [4, 3, 2, 1]) {
      it(`the course of training, in micro-batches of ${batchSize}`, async () => {
        const { expected, pairs, adapter, policy: opened } = await open();
        await using policy = opened;
        const trained = await trainAdapter(policy, pairs, {
          adapter: adapter.vector,
          table: adapter.table,
          terms: {
            loss: 'sigmoid',
            beta: expected.beta,
            learningRate: expected.lr,
            schedule: 'constant',
            warmup: 0,
            maxGradNorm: expected.max_grad_norm,
            weightDecay: expected.adam.weight_decay,
            batchSize,
            accumulate: Math.ceil(4 / batchSize),
            steps: expected.steps,
            shuffle: false,
            seed: 0,
            factor: 'both',
          },
        });
        near(trained.steps[0]!.loss, expected.loss0, 1e-4, 'loss at the start');
        near(trained.steps[0]!.grad_norm, expected.grad_norm0, 1e-4, 'gradient norm at the start');
        assert.equal(trained.steps.length, expected.train.length);
        for (const [i, row] of expected.train.entries()) {
          const step = trained.steps[i]!;
          near(step.loss, row.loss, 1e-4, `loss of step ${i + 1}`);
          near(step.grad_norm, row.grad_norm, 1e-4, `gradient norm of step ${i + 1}`);
          assert.ok(Math.abs(step['rewards/margins'] - row.margin) < 1e-4, `margin of step ${i + 1}`);
          assert.equal(step['rewards/accuracies'], row.accuracy);
        }
        for (const { name: tensor, offset, shape } of adapter.table) {
          const values = trained.adapter.subarray(offset, offset + shape[0] * shape[1]);
          const { norm, head } = expected.adapter_after[tensor]!;
          near(Math.hypot(...values), norm, 1e-3, `norm of ${tensor}`);
          for (const [i, value] of head.entries()) {
            assert.ok(Math.abs(values[i]! - value) < 1e-4, `${tensor} at ${i}: ${values[i]} is not ${value}`);
          }
        }
      });
    }
  });
}
