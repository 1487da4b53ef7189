/**
 * Log-probabilities of the reference, computed once and kept by content.
 *
 * The reference never changes, so a pair's figures are a function of the base checkpoint (its tokenizer included),
 * the reference adapter if there is one, the device, and the pair's token ids. They are kept in one file for each of
 * the first three, keyed by a hash of the last: a second epoch, another run or a later round asks the model nothing.
 *
 * The file's first line is the SHA-256 of the rest. A file that does not match is computed anew, as is one of two
 * written at the same time. It holds no text and no token ids.
 */
import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { makeFolder, naming, writeFileAtomic } from '../storage/atomicFile.ts';
import type { LogProbs } from './metrics.ts';
import type { Policy, TokenizedPair } from './policy.ts';

/** What the figures depend on, besides the pair. */
export interface ReferenceIdentity {
  /** The checkpoint's hash. */
  readonly base: string;
  /** SHA-256 of the quantised weights, where the base is quantised. */
  readonly quantization?: string | null;
  /** SHA-256 of the reference adapter's vector and scale; null for the bare base. */
  readonly adapter: string | null;
  readonly device: string;
  /**
   * What else decides the last bits: the batches, how they are split, the threads. A run that must come out the same
   * whatever was computed before it names them here, and shares figures with runs of the same batches alone.
   */
  readonly company?: string;
}

export interface ReferenceOptions {
  /** Folder for the file; nothing is kept when absent. */
  readonly cacheFolder?: string | undefined;
  /** Flat vector of the reference adapter, in the policy's layout; null for the bare base. */
  readonly adapter?: Float32Array | null;
  readonly signal?: AbortSignal;
  /**
   * Which pairs, by index, are given to the policy at once; each pair in one batch. Rounding differs with the company
   * a pair runs in, so give the batches that the policy will be compared in: margins then begin at exactly zero. A batch
   * of which some figures are known runs as a whole for the others; where no batches are given, the missing pairs alone.
   */
  readonly batches?: Iterable<readonly number[]>;
  /** Told how many pairs are done. */
  readonly onProgress?: (done: number) => void;
}

/** Figures of one pair: chosen, rejected, in nats. */
type Row = readonly [number, number];

/** Changes when the way figures are computed does, so that older files are left alone. */
const VERSION = 2;

/** Summed log-probabilities of the pairs under the reference, from the cache where it has them. */
export async function referenceLogProbs(
  policy: Policy,
  pairs: readonly TokenizedPair[],
  identity: ReferenceIdentity,
  { cacheFolder, adapter = null, batches, signal, onProgress }: ReferenceOptions = {},
): Promise<LogProbs> {
  const file = cacheFolder === undefined ? undefined : join(cacheFolder, fileName(identity));
  const known = file === undefined ? new Map<string, Row>() : await readRows(file);
  const alreadyKnown = known.size;
  const keys = pairs.map(pairKey);

  let done = 0;
  for (const batch of batches ?? [[...pairs.keys()]]) {
    const missing = new Set(batch.filter((i) => !known.has(keys[i]!)));
    if (missing.size > 0) {
      const asked = batches === undefined ? [...missing] : batch;
      const { chosen, rejected } = await policy.logProbs(
        asked.map((i) => pairs[i]!),
        adapter,
        signal === undefined ? {} : { signal },
      );
      for (const [row, i] of asked.entries()) {
        if (missing.has(i)) known.set(keys[i]!, [chosen[row]!, rejected[row]!]);
      }
    }
    done += batch.length;
    onProgress?.(done);
  }
  if (file !== undefined && known.size > alreadyKnown) await writeRows(file, cacheFolder!, known);

  const rows = keys.map((key) => known.get(key)!);
  return { chosen: Float64Array.from(rows, ([chosen]) => chosen), rejected: Float64Array.from(rows, (row) => row[1]) };
}

function fileName({ base, quantization = null, adapter, device, company }: ReferenceIdentity): string {
  const digest = createHash('sha256')
    .update(JSON.stringify([VERSION, base, quantization, adapter, device, ...(company === undefined ? [] : [company])]))
    .digest('hex');
  return `reference-${digest}.jsonl`;
}

/** SHA-256 over the lengths and the ids, 32 bits each; the pair's own id plays no part. */
function pairKey({ prompt, chosen, rejected }: TokenizedPair): string {
  const numbers = Uint32Array.from([prompt.length, chosen.length, rejected.length, ...prompt, ...chosen, ...rejected]);
  return createHash('sha256').update(numbers).digest('base64url');
}

async function readRows(file: string): Promise<Map<string, Row>> {
  const text = await readFile(file, 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return '';
    throw error;
  });
  const split = text.indexOf('\n');
  const body = text.slice(split + 1);
  if (split === -1 || text.slice(0, split) !== checksum(body)) return new Map();
  const rows = body
    .split('\n')
    .slice(0, -1)
    .map((line) => JSON.parse(line) as [string, number, number]);
  return new Map(rows.map(([key, chosen, rejected]) => [key, [chosen, rejected]]));
}

async function writeRows(file: string, folder: string, rows: ReadonlyMap<string, Row>): Promise<void> {
  const body = [...rows].map(([key, [chosen, rejected]]) => `${JSON.stringify([key, chosen, rejected])}\n`).join('');
  await naming(folder, () => makeFolder(folder, 0o700));
  await writeFileAtomic(file, `${checksum(body)}\n${body}`);
}

function checksum(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}
