import assert from 'node:assert/strict';
import { openCheckpoint } from '../../../node/model/checkpoint.ts';
import { better, evaluateLoss, type EvaluationMetrics } from '../../../node/training/evaluationLoss.ts';
import { readPeftAdapter } from '../../../node/training/peft.ts';
import { Policy } from '../../../node/training/policy.ts';

const metrics = (step: number, loss: number) => ({ step, eval_loss: loss }) as EvaluationMetrics;

describe('evaluation during training', () => {
  it('has the figures of a training step over the same pairs, under names of its own', async () => {
    const checkpoint = await openCheckpoint('test/oracle/llama/model');
    const adapter = await readPeftAdapter('test/oracle/llama/adapter', checkpoint.config);
    await using policy = await Policy.open({ checkpoint, layout: adapter, scale: 2, threads: 1 });
    const pairs = [
      { id: 'a', prompt: [1, 2], chosen: [3, 4, 5], rejected: [6] },
      { id: 'b', prompt: [9, 8, 7], chosen: [6], rejected: [5, 4] },
    ];
    const reference = await policy.logProbs(pairs, null);
    const terms = { loss: 'ipo', beta: 0.3, sftWeight: 0.5 } as const;
    const step = await policy.lossAndGradient(pairs, adapter.vector, reference, terms);
    const evaluated = await evaluateLoss(policy, { pairs, reference, terms }, adapter.vector, 12);
    assert.equal(evaluated.step, 12);
    assert.ok(Math.abs(evaluated.eval_loss - step.loss) < 1e-5);
    assert.ok(Math.abs(evaluated['eval_logps/chosen'] - (step.chosen[0]! + step.chosen[1]!) / 2) < 1e-3);
    assert.ok(evaluated['eval_rewards/margins'] !== 0);
  });

  it('keeps a copy of the adapter with the lowest loss, and counts the evaluations since', () => {
    const adapter = Float32Array.of(1);
    let best = better(null, metrics(0, 0.7), adapter);
    adapter[0] = 2;
    best = better(best, metrics(5, 0.6), adapter);
    adapter[0] = 3;
    best = better(best, metrics(10, 0.6), adapter);
    best = better(best, metrics(15, 0.65), adapter);
    assert.deepEqual(best, { adapter: Float32Array.of(2), loss: 0.6, step: 5, waited: 2 });
  });
});
