/**
 * What a participant computes in one round: from the round's parent adapter, some steps of DPO on its own pairs, and
 * the difference that they make to the factor which the round trains.
 *
 * The optimiser starts anew in every round, and the result follows from the arguments alone, so a round that was cut
 * short by a crash can be trained again. The running node, the study and the demo all train through here.
 */
import { createHash } from 'node:crypto';
import type { Manifest } from '../../protocol/manifest.ts';
import type { Factor } from '../../protocol/messages.ts';
import type { AdapterVectorEntry } from './adapterVector.ts';
import type { LogProbs, StepMetrics } from './metrics.ts';
import type { Policy, TokenizedPair } from './policy.ts';
import { trainAdapter } from './trainer.ts';

export interface LocalRoundInput {
  /** The adapter that the round starts from, flat. It is not changed. */
  readonly parent: Float32Array;
  /** Where each tensor lies in `parent`. */
  readonly table: readonly AdapterVectorEntry[];
  readonly factor: Factor;
  /** The manifest's training terms. */
  readonly terms: Manifest['training'];
  /** Seed of the order of pairs: see `roundSeed`. */
  readonly seed: number;
  /** Summed log-probabilities of the pairs under the bare base, in nats, `[pairs]`. */
  readonly reference: LogProbs;
}

export interface LocalRoundOptions {
  readonly signal?: AbortSignal;
  readonly onStep?: (metrics: StepMetrics) => void;
}

export interface LocalRound {
  /** Trained adapter less parent, flat; exactly zero outside the round's factor. */
  readonly delta: Float32Array;
  /** The tensors of the round's factor, as they lie in `delta`. */
  readonly entries: readonly AdapterVectorEntry[];
  readonly steps: readonly StepMetrics[];
}

/** Trains one round on `pairs`. Throws what the trainer throws. */
export async function trainLocalRound(
  policy: Policy,
  pairs: readonly TokenizedPair[],
  { parent, table, factor, terms, seed, reference }: LocalRoundInput,
  { signal, onStep }: LocalRoundOptions = {},
): Promise<LocalRound> {
  const { maxLength: _, ...training } = terms;
  const { adapter, steps } = await trainAdapter(policy, pairs, {
    adapter: parent,
    table,
    reference,
    terms: { ...training, accumulate: 1, shuffle: true, seed, factor },
    ...(signal && { signal }),
    ...(onStep && { onStep }),
  });
  const entries = table.filter((entry) => factor === 'both' || entry.factor === factor);
  const delta = new Float32Array(parent.length);
  for (const { offset, shape } of entries) {
    const end = offset + shape[0] * shape[1];
    for (let i = offset; i < end; i++) delta[i] = adapter[i]! - parent[i]!;
  }
  return { delta, entries, steps };
}

/** The seed of one round, 32 bits: another order of pairs in each, and the same in every run from the same seed. */
export function roundSeed(seed: number, round: number): number {
  return createHash('sha256')
    .update(JSON.stringify(['round', seed, round]))
    .digest()
    .readUInt32LE(0);
}
