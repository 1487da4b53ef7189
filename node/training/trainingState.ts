/**
 * A training run on disk, so that it can go on after an interruption and end exactly as if there had been none.
 *
 * Saved are the adapter, both moments of the optimiser, the step, what early stopping remembers, and the reference's
 * log-probabilities (their last bits depend on what they were computed beside, which a cache does not tell); the order
 * of pairs follows from seed and step. Each state is one safetensors file, synced before it gets its name. The newest two
 * are kept: should the newest be damaged, the run goes on from the one before it. A state carries the SHA-256 of its
 * content and the course of its run, and is refused by a run of another course.
 */
import { createHash } from 'node:crypto';
import { readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { isPrefmeshError, PrefmeshError } from '../../protocol/errors.ts';
import { readSafetensorsIndex, readTensor, writeSafetensors, type NamedTensor } from '../model/safetensors.ts';
import { makeFolder, naming, removeLeftovers, storageError, syncFolder } from '../storage/atomicFile.ts';
import type { LogProbs } from './metrics.ts';
import { courseDifferences, type RunCourse } from './runCourse.ts';
import type { TrainingState } from './trainer.ts';

/** The best adapter so far by evaluation loss, for early stopping. */
export interface BestAdapter {
  readonly adapter: Float32Array;
  /** Evaluation loss in nats. */
  readonly loss: number;
  /** The step after which it was measured. */
  readonly step: number;
  /** Evaluations since, none of them better. */
  readonly waited: number;
}

/** Log-probabilities under the reference. */
export interface References {
  readonly training: LogProbs;
  /** Of the pairs that the run is watched on. */
  readonly watched: LogProbs | null;
}

export interface SavedTraining {
  readonly state: TrainingState;
  readonly best: BestAdapter | null;
  /** The step after which the run was last evaluated; null where it never was. */
  readonly evaluated: number | null;
  readonly references: References;
}

export interface LoadedTraining extends SavedTraining {
  /** Newer states that could not be read, each with what is wrong with it. */
  readonly damaged: readonly { readonly file: string; readonly problem: string }[];
}

const FOLDER = 'checkpoints';
const NAME = /^step-(\d{8,})\.safetensors$/;
const KEPT = 2;

const stepCount = z.int().min(0);
const numbersSchema = z.object({
  step: stepCount,
  tokens: stepCount,
  updates: stepCount,
  evaluated: z.nullable(stepCount),
});
const bestSchema = z.nullable(z.object({ loss: z.number(), step: stepCount, waited: stepCount }));

/**
 * Saves a run under its adapter's folder, and removes all states but this and the one before.
 *
 * @throws DISK_FULL, STORAGE_FAILED; the states saved before are then untouched
 */
export async function saveTraining(
  out: string,
  course: RunCourse,
  { state, best, evaluated, references }: SavedTraining,
): Promise<void> {
  const folder = join(out, FOLDER);
  const vectors = {
    adapter: state.adapter,
    first_moment: state.optimizer.firstMoment,
    second_moment: state.optimizer.secondMoment,
    ...(best !== null && { best: best.adapter }),
    reference: bitsOf(references.training),
    ...(references.watched !== null && { watched_reference: bitsOf(references.watched) }),
  };
  const numbers = { step: state.step, tokens: state.tokens, updates: state.optimizer.step, evaluated };
  const bestNumbers = best === null ? null : { loss: best.loss, step: best.step, waited: best.waited };
  const facts = {
    course: JSON.stringify(course),
    numbers: JSON.stringify(numbers),
    best: JSON.stringify(bestNumbers),
  };
  const tensors = Object.entries(vectors).map(([name, data]) => ({ name, shape: [data.length], data }));
  await naming(folder, () => makeFolder(folder));
  const file = join(folder, `step-${String(state.step).padStart(8, '0')}.safetensors`);
  await writeSafetensors(file, tensors, { ...facts, sha256: contentHash(tensors, facts) });

  const states = await savedStates(folder);
  const kept = states.filter(({ step }) => step <= state.step).slice(0, KEPT);
  for (const other of states) if (!kept.includes(other)) await rm(other.file, { force: true });
}

/**
 * The newest whole state of a run, or null where nothing was saved.
 *
 * @throws RESUME_MISMATCH when the state is of a run with another course; CHECKPOINT_DAMAGED when none can be read
 */
export async function loadTraining(out: string, course: RunCourse, length: number): Promise<LoadedTraining | null> {
  const folder = join(out, FOLDER);
  const damaged: { file: string; problem: string }[] = [];
  for (const { file } of await savedStates(folder)) {
    let read: { saved: SavedTraining; course: unknown };
    try {
      read = readState(file);
    } catch (error) {
      if (!isPrefmeshError(error)) throw error;
      damaged.push({ file, problem: String(error.details.problem) });
      continue;
    }
    const differences = courseDifferences(read.course, course);
    if (differences.length > 0)
      throw new PrefmeshError('RESUME_MISMATCH', { file, differences: differences.join('; ') });
    if (read.saved.state.adapter.length !== length) throw damage(file, `holds no adapter of ${length} numbers`);
    await removeLeftovers(folder);
    return { ...read.saved, damaged };
  }
  if (damaged.length === 0) return null;
  throw damage(damaged[0]!.file, damaged[0]!.problem);
}

/** The step of the newest state under an adapter's folder, whole or not; null where there is none. */
export async function newestState(out: string): Promise<number | null> {
  return (await savedStates(join(out, FOLDER)))[0]?.step ?? null;
}

/** Removes the saved states of a finished run. */
export async function forgetTraining(out: string): Promise<void> {
  await rm(join(out, FOLDER), { recursive: true, force: true });
  await syncFolder(out);
}

/** States by step, the newest first. */
async function savedStates(folder: string): Promise<{ file: string; step: number }[]> {
  const names = await readdir(folder).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return [];
    throw storageError(error, folder);
  });
  return names
    .flatMap((name) => {
      const step = NAME.exec(name)?.[1];
      return step === undefined ? [] : [{ file: join(folder, name), step: Number(step) }];
    })
    .sort((a, b) => b.step - a.step);
}

function readState(file: string): { saved: SavedTraining; course: unknown } {
  const { tensors, metadata } = readSafetensorsIndex(file);
  const values = new Map([...tensors].map(([name, tensor]) => [name, readTensor(tensor)]));
  const { sha256, ...facts } = metadata;
  const held = [...values].map(([name, data]) => ({ name, shape: [data.length], data }));
  if (sha256 !== contentHash(held, facts)) throw damage(file, 'its content does not have the hash that it names');

  // From here on the content is as it was written, by this program.
  const read = (name: string) => {
    const vector = values.get(name);
    if (vector === undefined) throw damage(file, `has no ${name}`);
    return vector;
  };
  const parsed = z
    .object({ numbers: numbersSchema, best: bestSchema, course: z.unknown() })
    .safeParse(Object.fromEntries(Object.entries(facts).map(([name, json]) => [name, JSON.parse(json)])));
  if (!parsed.success) throw damage(file, `${parsed.error.issues[0]?.path.join('.')} is not what it should be`);
  const { numbers, best, course } = parsed.data;
  const optimizer = { firstMoment: read('first_moment'), secondMoment: read('second_moment'), step: numbers.updates };
  return {
    saved: {
      state: { step: numbers.step, tokens: numbers.tokens, adapter: read('adapter'), optimizer },
      best: best === null ? null : { ...best, adapter: read('best') },
      evaluated: numbers.evaluated,
      references: {
        training: logProbsOf(read('reference')),
        watched: values.has('watched_reference') ? logProbsOf(read('watched_reference')) : null,
      },
    },
    course,
  };
}

/** Doubles as they lie in memory, chosen then rejected, in a file format that this program writes floats in. */
function bitsOf({ chosen, rejected }: LogProbs): Float32Array {
  const values = new Float64Array(chosen.length + rejected.length);
  values.set(chosen);
  values.set(rejected, chosen.length);
  return new Float32Array(values.buffer);
}

function logProbsOf({ buffer, byteOffset, length }: Float32Array): LogProbs {
  const values = new Float64Array(buffer, byteOffset, length / 2);
  return { chosen: values.slice(0, length / 4), rejected: values.slice(length / 4) };
}

function contentHash(tensors: readonly NamedTensor[], facts: Readonly<Record<string, string>>): string {
  const digest = createHash('sha256');
  for (const [name, text] of Object.entries(facts).sort(([a], [b]) => (a < b ? -1 : 1)))
    digest.update(JSON.stringify([name, text]));
  for (const { name, data } of [...tensors].sort((a, b) => (a.name < b.name ? -1 : 1))) {
    digest.update(JSON.stringify([name, data.length]));
    digest.update(new Uint8Array(data.buffer, data.byteOffset, data.byteLength));
  }
  return digest.digest('hex');
}

function damage(file: string, problem: string): PrefmeshError {
  return new PrefmeshError('CHECKPOINT_DAMAGED', { file, problem });
}
