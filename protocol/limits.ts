/**
 * The one table of bounds: what a node accepts, holds or waits for at most, each with its unit and its reason.
 * `docs/reference/limits.md` is generated from it. Bounds of one federation (quorum, norm) live in its manifest.
 */

export interface Limit {
  readonly value: number;
  readonly unit: 'bytes' | 'ms' | 'count' | 'bits' | 'ratio';
  readonly why: string;
}

const KiB = 1024;

export const LIMITS = {
  blobChunk: { value: 1024 * KiB, unit: 'bytes', why: 'largest single message that crosses a stream without hitting the muxer buffers' },
  databaseBusyWait: { value: 5_000, unit: 'ms', why: 'how long a statement waits for another connection of the same file, such as a status command' },
  blobSize: { value: 256 * KiB * KiB, unit: 'bytes', why: 'largest blob ever stored or received; an update of rank 16 over all seven projections of a 7 B model fits' },
  safetensorsHeader: { value: 100_000_000, unit: 'bytes', why: 'longest safetensors header that is read into memory; the bound of the format itself' },
  modelTextFile: { value: 64 * 1024 * KiB, unit: 'bytes', why: 'largest config.json, tokenizer.json or index of shards that is parsed; vocabularies of 256k tokens take 35 MiB' },
  checkpointHashCacheFrom: { value: 64 * 1024 * KiB, unit: 'bytes', why: 'from this size on the hash of a checkpoint is remembered beside it; below, hashing takes less than 0.1 s' },
} as const satisfies Record<string, Limit>;
