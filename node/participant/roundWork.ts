/**
 * A participant's part in one round: train, make the difference integers, put it on disk.
 */
import { encodeBlob } from '../../protocol/tensorBlob.ts';
import type { FixedPointTensors } from '../../protocol/tensorBlob.ts';
import { dequantize, norm, quantize } from '../../protocol/update.ts';
import type { Manifest } from '../../protocol/manifest.ts';
import type { Factor } from '../../protocol/messages.ts';
import type { RoundNumber, Sha256 } from '../../protocol/names.ts';
import type { BlobStore } from '../storage/blobs.ts';
import type { AdapterVectorEntry } from '../training/adapterVector.ts';
import { roundSeed, trainLocalRound } from '../training/localRound.ts';
import type { LogProbs } from '../training/metrics.ts';
import type { Policy, TokenizedPair } from '../training/policy.ts';
import type { ParticipantEvent } from './events.ts';

export interface RoundWorkComponents {
  readonly manifest: Manifest;
  readonly policy: Policy;
  readonly table: readonly AdapterVectorEntry[];
  readonly pairs: readonly TokenizedPair[];
  readonly reference: LogProbs;
  readonly blobs: BlobStore;
  /** The node's seed; each round's follows from it. */
  readonly seed: number;
  readonly onEvent: (event: ParticipantEvent) => void;
}

export interface RoundToTrain {
  readonly round: RoundNumber;
  readonly factor: Factor;
  readonly parent: FixedPointTensors;
}

export interface MadeUpdate {
  readonly blob: Sha256;
  readonly bytes: number;
}

/** Trains the round's update and stores it durably. Throws what training throws; the signal's reason when aborted. */
export async function makeUpdate(
  { round, factor, parent }: RoundToTrain,
  { manifest, policy, table, pairs, reference, blobs, seed, onEvent }: RoundWorkComponents,
  signal: AbortSignal,
): Promise<MadeUpdate> {
  const started = performance.now();
  const { delta, entries } = await trainLocalRound(
    policy,
    pairs,
    {
      parent: dequantize(parent, table, policy.parameterCount),
      table,
      factor,
      terms: manifest.training,
      seed: roundSeed(seed, round),
      reference,
    },
    {
      signal,
      onStep: (metrics) => {
        onEvent({ event: 'step', round, ...metrics, steps_per_second: 1 / metrics.step_time });
      },
    },
  );
  const { normBound, fixedPointBits } = manifest.update;
  const exact = quantize(delta, entries, fixedPointBits);
  const update = withinNorm(exact, normBound);
  const bytes = encodeBlob(update);
  const blob = await blobs.put(bytes);
  const seconds = (performance.now() - started) / 1000;
  const shortened = update !== exact;
  onEvent({ event: 'trained', round, blob, bytes: bytes.length, norm: norm(update), shortened, seconds });
  return { blob, bytes: bytes.length };
}

/** The update itself, or one in the same direction that keeps to the bound: a longer one would be refused. */
export function withinNorm(update: FixedPointTensors, bound: number): FixedPointTensors {
  const length = norm(update);
  if (length <= bound) return update;
  const scale = bound / length;
  return { ...update, values: update.values.map((value) => Math.trunc(value * scale)) };
}
