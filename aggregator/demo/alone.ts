/**
 * Training without a federation: from the same initial adapter, with the same terms and as many steps as all rounds
 * together, both factors at once, as `prefmesh train` would.
 */
import type { AdapterVectorEntry } from '../../node/training/adapterVector.ts';
import type { LogProbs, StepMetrics } from '../../node/training/metrics.ts';
import type { Policy, TokenizedPair } from '../../node/training/policy.ts';
import { trainAdapter } from '../../node/training/trainer.ts';
import type { Manifest } from '../../protocol/manifest.ts';

/** Pairs with their log-probabilities under the bare base, in nats, `[pairs]`. */
export interface Learner {
  readonly pairs: readonly TokenizedPair[];
  readonly reference: LogProbs;
}

export interface StartingPoint {
  readonly policy: Policy;
  /** The adapter that all ways of training start from, flat. */
  readonly initial: Float32Array;
  readonly table: readonly AdapterVectorEntry[];
  readonly training: Manifest['training'];
  readonly rounds: number;
  readonly seed: number;
  readonly signal: AbortSignal;
}

export interface AloneOptions {
  /** Batches of the terms' size that make one step. */
  readonly accumulate?: number;
  readonly onStep?: (metrics: StepMetrics) => void;
}

/** The trained adapter, flat. */
export async function trainAlone(
  { policy, initial, table, training, rounds, seed, signal }: StartingPoint,
  { pairs, reference }: Learner,
  { accumulate = 1, onStep }: AloneOptions = {},
): Promise<Float32Array> {
  const { maxLength: _, ...terms } = training;
  const { adapter } = await trainAdapter(policy, pairs, {
    adapter: initial,
    table,
    reference,
    terms: { ...terms, accumulate, steps: rounds * terms.steps, shuffle: true, seed, factor: 'both' },
    signal,
    ...(onStep && { onStep }),
  });
  return adapter;
}
