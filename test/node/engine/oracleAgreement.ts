/**
 * One oracle case from end to end on a device: log-probabilities, loss, gradient, and the adapter after some steps,
 * against an independent implementation in float64, and the gradient against the CPU's.
 */
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Device } from '../../../node/engine/device.ts';
import { openCheckpoint } from '../../../node/model/checkpoint.ts';
import { Tokenizer } from '../../../node/model/tokenizer.ts';
import { readPairs } from '../../../node/preferences/pairs.ts';
import { readPeftAdapter } from '../../../node/training/peft.ts';
import { Policy, type PolicyOptions, type TokenizedPair } from '../../../node/training/policy.ts';
import { tokenizePairs } from '../../../node/training/tokenization.ts';
import { trainAdapter } from '../../../node/training/trainer.ts';
import { oracleFolder, type OracleCase } from '../../oracle/oracleCase.ts';
import { relativeError } from './closeness.ts';

export interface OracleTolerances {
  /** Of log-probabilities, losses and gradient norms, relative. */
  readonly values: number;
  /** Of the gradient from the CPU's, relative to its norm. */
  readonly gradient: number;
  /** Of the adapter's norms, relative, and of its elements, absolute. */
  readonly adapter: number;
}

/** A case, opened. */
async function openOracle(name: string) {
  const folder = oracleFolder(name);
  const expected = JSON.parse(await readFile(join(folder, 'expected.json'), 'utf8')) as OracleCase;
  const checkpoint = await openCheckpoint(join(folder, 'model'));
  const tokenizer = await Tokenizer.open(checkpoint.folder);
  const { pairs } = tokenizePairs(tokenizer, await readPairs(join(folder, 'pairs.jsonl')), { maxLength: 512 });
  const adapter = await readPeftAdapter(join(folder, 'adapter'), checkpoint.config);
  const shared = { checkpoint, layout: adapter, scale: adapter.alpha / adapter.rank, threads: 1 };
  const open = (settings: Partial<PolicyOptions>): Promise<Policy> => Policy.open({ ...shared, ...settings });
  return { expected, pairs, adapter, open };
}

/** The pair with the fewest tokens, alone: slow devices take half a minute for all. */
function shortest(pairs: readonly TokenizedPair[]): TokenizedPair[] {
  const tokens = ({ prompt, chosen, rejected }: TokenizedPair): number =>
    prompt.length + chosen.length + rejected.length;
  return pairs.toSorted((a, b) => tokens(a) - tokens(b)).slice(0, 1);
}

/**
 * The gradient of one pair with activations computed twice, and with a row for each completion: as the CPU has it
 * without either.
 */
export async function checkLayouts(name: string, device: Device, tolerance: number): Promise<void> {
  const { expected, pairs: all, adapter, open } = await openOracle(name);
  const pairs = shortest(all);
  const base = expected.score.find(({ id }) => id === pairs[0]!.id)!;
  const reference = { chosen: Float64Array.of(base.ref_chosen), rejected: Float64Array.of(base.ref_rejected) };
  const gradientOf = async (settings: Partial<PolicyOptions>): Promise<Float32Array> => {
    await using policy = await open(settings);
    return (await policy.lossAndGradient(pairs, adapter.vector, reference, { loss: 'sigmoid', beta: 0.1 })).gradient;
  };
  const plain = await gradientOf({ device: 'cpu' });
  for (const settings of [{ activationCheckpointing: true }, { rows: 'apart' }] as const) {
    const error = relativeError(await gradientOf({ device, ...settings }), plain);
    assert.ok(error <= tolerance, `${JSON.stringify(settings)}: off by ${error}`);
  }
}

/**
 * Throws an assertion error where the device does not agree. For slow devices, `whole` false looks at one pair alone:
 * its log-probabilities, and its gradient against the CPU's.
 */
export async function checkOracle(
  name: string,
  device: Device,
  tolerances: OracleTolerances,
  whole: boolean,
): Promise<void> {
  const { expected, pairs: all, adapter, open } = await openOracle(name);
  const pairs = whole ? all : shortest(all);
  await using policy = await open({ device });
  const near = (actual: number, value: number, relative: number, what: string): void =>
    assert.ok(Math.abs(actual - value) <= relative * Math.abs(value), `${what}: ${actual} is not ${value}`);

  const candidate = await policy.logProbs(pairs, adapter.vector);
  const reference = await policy.logProbs(pairs, null);
  for (const [i, { id }] of pairs.entries()) {
    const row = expected.score.find((each) => each.id === id)!;
    near(candidate.chosen[i]!, row.chosen, tolerances.values, `chosen of ${row.id}`);
    near(candidate.rejected[i]!, row.rejected, tolerances.values, `rejected of ${row.id}`);
    near(reference.chosen[i]!, row.ref_chosen, tolerances.values, `reference chosen of ${row.id}`);
    near(reference.rejected[i]!, row.ref_rejected, tolerances.values, `reference rejected of ${row.id}`);
  }

  const terms = { loss: 'sigmoid', beta: expected.beta } as const;
  const { loss, gradient } = await policy.lossAndGradient(pairs, adapter.vector, reference, terms);
  await using processor = await open({ device: 'cpu' });
  const same = await processor.lossAndGradient(pairs, adapter.vector, reference, terms);
  const error = relativeError(gradient, same.gradient);
  assert.ok(error <= tolerances.gradient, `the gradient is off the CPU's by ${error}`);

  if (!whole) return;
  near(loss, expected.loss0, tolerances.values, 'loss');
  near(Math.hypot(...gradient), expected.grad_norm0, tolerances.values, 'gradient norm');
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
      batchSize: pairs.length,
      accumulate: 1,
      steps: expected.steps,
      shuffle: false,
      seed: 0,
      factor: 'both',
    },
  });
  near(trained.steps[0]!.loss, expected.loss0, tolerances.values, 'loss at the start');
  near(trained.steps[0]!.grad_norm, expected.grad_norm0, tolerances.values, 'gradient norm at the start');
  for (const [i, row] of expected.train.entries()) {
    near(trained.steps[i]!.loss, row.loss, tolerances.values, `loss of step ${i + 1}`);
    near(trained.steps[i]!.grad_norm, row.grad_norm, tolerances.values, `gradient norm of step ${i + 1}`);
  }
  for (const { name: tensor, offset, shape } of adapter.table) {
    const values = trained.adapter.subarray(offset, offset + shape[0] * shape[1]);
    const { norm, head } = expected.adapter_after[tensor]!;
    near(Math.hypot(...values), norm, tolerances.adapter, `norm of ${tensor}`);
    for (const [i, value] of head.entries()) {
      assert.ok(Math.abs(values[i]! - value) < tolerances.adapter, `${tensor}[${i}]: ${values[i]} is not ${value}`);
    }
  }
}
