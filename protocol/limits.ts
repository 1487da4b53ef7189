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
} as const satisfies Record<string, Limit>;
