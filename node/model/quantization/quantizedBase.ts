/**
 * A checkpoint with its projections in 4 bits: made once, kept in the cache, looked over before each use.
 *
 * Beside the file stands a record of its SHA-256, size and modification time. While the latter two stay, the file is
 * believed; else it is hashed again, and where that differs, or the record or the file cannot be read, made again.
 */
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { isPrefmeshError } from '../../../protocol/errors.ts';
import { makeFolder, naming, writeFileAtomic } from '../../storage/atomicFile.ts';
import type { Checkpoint } from '../checkpoint.ts';
import { readJsonFile } from '../jsonFile.ts';
import { QUANTIZATION_VERSION, readQuantizedFile, writeQuantizedFile, type QuantizeOptions } from './quantizedFile.ts';
import type { QuantizationScheme } from './scheme.ts';
import type { QuantizedTensor } from './quantizedTensors.ts';

/** Quantised weights that take the place of a checkpoint's own. */
export interface QuantizedWeights {
  readonly scheme: QuantizationScheme;
  /** SHA-256 of the quantised bytes, lower-case hex: equal for all who hold the same quantised base. */
  readonly hash: string;
  readonly file: string;
  readonly bytes: number;
  /** By Hugging Face name. */
  readonly tensors: ReadonlyMap<string, QuantizedTensor>;
}

export interface QuantizedBaseOptions extends QuantizeOptions {
  /** Where quantised weights are kept. */
  readonly folder: string;
  /** Told of a kept file that is damaged, before it is made again. */
  readonly onDamaged?: ((file: string) => void) | undefined;
}

const recordSchema = z.object({ sha256: z.string().regex(/^[0-9a-f]{64}$/), bytes: z.int(), modified: z.string() });
type Record = z.infer<typeof recordSchema>;

/**
 * The checkpoint over quantised projections, which are made if they are not at hand.
 *
 * @throws QUANTIZATION_UNFIT, WEIGHTS_INVALID, DISK_FULL, STORAGE_FAILED
 */
export async function quantizeCheckpoint(
  checkpoint: Checkpoint,
  scheme: QuantizationScheme,
  options: QuantizedBaseOptions,
): Promise<Checkpoint & { readonly quantized: QuantizedWeights }> {
  const { folder, onDamaged } = options;
  const file = join(folder, `${checkpoint.hash.slice(0, 32)}-${scheme}-${QUANTIZATION_VERSION}.safetensors`);
  const known = await keptFile(file, checkpoint, onDamaged);
  if (known !== null) return { ...checkpoint, quantized: { scheme, file, ...known } };

  await naming(folder, () => makeFolder(folder, 0o700));
  const hash = await writeQuantizedFile(file, checkpoint, scheme, options);
  const { bytes, modified } = (await stampOf(file))!;
  await writeRecord(file, { sha256: hash, bytes, modified });
  return {
    ...checkpoint,
    quantized: { scheme, file, hash, bytes, tensors: readQuantizedFile(file, checkpoint.config) },
  };
}

/** The kept file, if it is whole. */
async function keptFile(
  file: string,
  { config }: Checkpoint,
  onDamaged: QuantizedBaseOptions['onDamaged'],
): Promise<Pick<QuantizedWeights, 'hash' | 'bytes' | 'tensors'> | null> {
  const stamp = await stampOf(file);
  if (stamp === null) return null;
  const record = await readRecord(file);
  const unchanged = record !== null && record.bytes === stamp.bytes && record.modified === stamp.modified;
  if (record !== null && (unchanged || (record.bytes === stamp.bytes && (await hashOf(file)) === record.sha256))) {
    try {
      const tensors = readQuantizedFile(file, config);
      if (!unchanged) await writeRecord(file, { ...record, ...stamp });
      return { hash: record.sha256, bytes: stamp.bytes, tensors };
    } catch (error) {
      if (!isPrefmeshError(error, 'WEIGHTS_INVALID')) throw error;
    }
  }
  onDamaged?.(file);
  return null;
}

async function stampOf(file: string): Promise<Omit<Record, 'sha256'> | null> {
  const status = await stat(file, { bigint: true }).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return null;
    throw error;
  });
  return status && { bytes: Number(status.size), modified: String(status.mtimeNs) };
}

async function readRecord(file: string): Promise<Record | null> {
  const read = await readJsonFile(recordFile(file), () => new Error('unreadable')).catch(() => null);
  if (read === null || !read.found) return null;
  return recordSchema.safeParse(read.json).data ?? null;
}

async function writeRecord(file: string, record: Record): Promise<void> {
  await writeFileAtomic(recordFile(file), `${JSON.stringify(record)}\n`);
}

function recordFile(file: string): string {
  return `${file}.json`;
}

async function hashOf(file: string): Promise<string> {
  const hash = createHash('sha256');
  for await (const piece of createReadStream(file, { highWaterMark: 4 * 1024 * 1024 })) hash.update(piece as Buffer);
  return hash.digest('hex');
}
