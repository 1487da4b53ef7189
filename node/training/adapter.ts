/**
 * A LoRA adapter in memory: one flat vector and the table of where each tensor lies in it.
 *
 * y = W x + (alpha / rank) · B (A x), Hu et al. 2021, "LoRA", section 4.1.
 */
import { PrefmeshError } from '../../protocol/errors.ts';
import type { Checkpoint } from '../model/checkpoint.ts';
import type { ModelConfig } from '../model/config.ts';
import {
  adapterVectorLength,
  adapterVectorTable,
  type AdapterLayout,
  type AdapterVectorEntry,
  type TargetModule,
} from './adapterVector.ts';
import type { VectorRange } from './optimizer.ts';
import { RandomStream } from './randomStream.ts';

export interface Adapter {
  readonly rank: number;
  readonly alpha: number;
  readonly targets: readonly TargetModule[];
  readonly vector: Float32Array;
  readonly table: readonly AdapterVectorEntry[];
  /** Identity of the checkpoint it was trained on; null when the file does not say. */
  readonly baseHash: string | null;
  /** How the base was quantised while it was trained; absent or null for a base at its own precision. */
  readonly baseQuantization?: BaseQuantization | null;
}

/** Names a quantised base: what an adapter learned to correct is that base, not the one it was made from. */
export interface BaseQuantization {
  readonly scheme: string;
  /** SHA-256 of the quantised weights. */
  readonly sha256: string;
}

/** How a checkpoint is quantised, or null where it is not. */
export function baseQuantizationOf({ quantized }: Checkpoint): BaseQuantization | null {
  return quantized === undefined ? null : { scheme: quantized.scheme, sha256: quantized.hash };
}

/** Which of A and B a run trains. */
export const FACTORS = ['both', 'A', 'B'] as const;
export type Factor = (typeof FACTORS)[number];

/**
 * A fresh adapter, which changes nothing yet: A uniform in ±1/√in (PEFT's Kaiming initialisation with a = √5),
 * B zero.
 */
export function initialAdapter(config: ModelConfig, layout: AdapterLayout, alpha: number, seed: number): Adapter {
  const table = adapterVectorTable(config, layout);
  const vector = new Float32Array(adapterVectorLength(table));
  for (const { name, factor, shape, offset } of table) {
    if (factor === 'B') continue;
    const random = new RandomStream(seed, 'adapter', name);
    const bound = 1 / Math.sqrt(shape[1]);
    const end = offset + shape[0] * shape[1];
    for (let i = offset; i < end; i++) vector[i] = (2 * random.uniform() - 1) * bound;
  }
  return { rank: layout.rank, alpha, targets: layout.targets, vector, table, baseHash: null };
}

/** The same adapter at another alpha: B is scaled so that alpha / rank · B A stays what it is. */
export function withAlpha(adapter: Adapter, alpha: number): Adapter {
  if (alpha === adapter.alpha) return adapter;
  const vector = adapter.vector.slice();
  const scale = adapter.alpha / alpha;
  for (const { start, end } of factorRanges(adapter.table, 'B')) {
    for (let i = start; i < end; i++) vector[i] = vector[i]! * scale;
  }
  return { ...adapter, alpha, vector };
}

/** The ranges of the flat vector that belong to a factor, in order. */
export function factorRanges(table: readonly AdapterVectorEntry[], factor: Factor): VectorRange[] {
  return table
    .filter((entry) => factor === 'both' || entry.factor === factor)
    .map(({ offset, shape }) => ({ start: offset, end: offset + shape[0] * shape[1] }));
}

/**
 * Refuses an adapter that was trained on another base. One that does not name its base passes: its shapes fitted.
 *
 * @throws ADAPTER_OTHER_BASE
 */
export function checkAdapterBase(adapter: Adapter, checkpoint: Checkpoint, folder: string): void {
  if (adapter.baseHash === null || adapter.baseHash === checkpoint.hash) return;
  throw new PrefmeshError('ADAPTER_OTHER_BASE', {
    adapter: folder,
    base: adapter.baseHash,
    model: checkpoint.name,
    hash: checkpoint.hash,
  });
}
