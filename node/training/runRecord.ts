/**
 * `training_config.json`: what a run was, beside the adapter that it made. Every setting as it was resolved, what went
 * in by hash and count, and what came out; never a text, and no path of the machine. Given as `--config`, it sets a
 * command to do the same again.
 */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { naming, writeFileAtomic } from '../storage/atomicFile.ts';
import { pairCountsSchema } from './pairCounts.ts';
import { runCourseSchema } from './runCourse.ts';

export const RUN_RECORD = 'training_config.json';

/** Tells the file from a hand-written one. */
export const RUN_RECORD_FORMAT = 'prefmesh training run 1';

const schema = runCourseSchema.extend({
  format: z.literal(RUN_RECORD_FORMAT),
  prefmesh: z.string(),
  /** What computed, by name and version. */
  runtime: z.record(z.string(), z.string()),
  model: z.string(),
  counts: z.object({ pairs: pairCountsSchema, evaluationPairs: z.nullable(pairCountsSchema) }),
  totalSteps: z.int(),
  /** Null until the run is finished. */
  result: z.nullable(
    z.object({
      /** The step whose adapter this is. */
      step: z.int(),
      /** Steps that were made. */
      steps: z.int(),
      /** Of `adapter_model.safetensors`. */
      sha256: z.string(),
    }),
  ),
});

export type RunRecord = z.infer<typeof schema>;

/** Replaces `training_config.json` in a folder, in one step. @throws DISK_FULL, STORAGE_FAILED */
export async function writeRunRecord(folder: string, record: RunRecord): Promise<void> {
  await writeFileAtomic(join(folder, RUN_RECORD), `${JSON.stringify(record, null, 2)}\n`, { mode: 0o644 });
}

/** The record in a file, or null where the file is missing or is something else. */
export async function readRunRecord(file: string): Promise<RunRecord | null> {
  const text = await naming(file, () => readFile(file, 'utf8').catch(ignoreMissing));
  try {
    return text === undefined ? null : (schema.safeParse(JSON.parse(text)).data ?? null);
  } catch {
    return null;
  }
}

function ignoreMissing(error: NodeJS.ErrnoException): undefined {
  if (error.code !== 'ENOENT') throw error;
  return undefined;
}
