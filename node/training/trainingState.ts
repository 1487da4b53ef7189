/**
 * A training run on disk, so that it can go on after an interruption and end exactly as if there had been none.
 *
 * Saved are the adapter, both moments of the optimiser and the step; the order of pairs follows from seed and step.
 * One safetensors file, replaced whole. It names the run it belongs to by a hash, and is refused by any other.
 */
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { PrefmeshError } from '../../protocol/errors.ts';
import { fileSize } from '../model/jsonFile.ts';
import { readSafetensorsIndex, readTensor, writeSafetensors } from '../model/safetensors.ts';
import type { TrainingState } from './trainer.ts';

const STATE_FILE = 'training-state.safetensors';

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

export interface SavedTraining {
  readonly state: TrainingState;
  readonly best: BestAdapter | null;
}

/** Saves a run. `run` is the hash of everything that decides its course. */
export async function saveTraining(folder: string, run: string, { state, best }: SavedTraining): Promise<void> {
  const tensors = [
    ['adapter', state.adapter],
    ['first_moment', state.optimizer.firstMoment],
    ['second_moment', state.optimizer.secondMoment],
    ...(best === null ? [] : [['best', best.adapter] as const]),
  ] as const;
  const numbers = { step: state.step, tokens: state.tokens, updates: state.optimizer.step };
  const bestNumbers = best === null ? null : { loss: best.loss, step: best.step, waited: best.waited };
  await writeSafetensors(
    join(folder, STATE_FILE),
    tensors.map(([name, data]) => ({ name, shape: [data.length], data })),
    { run, numbers: JSON.stringify(numbers), best: JSON.stringify(bestNumbers) },
  );
}

/**
 * The saved state of a run, or null where nothing was saved.
 *
 * @throws RESUME_MISMATCH when the folder holds the state of another run; WEIGHTS_INVALID when it is damaged
 */
export async function loadTraining(folder: string, run: string, length: number): Promise<SavedTraining | null> {
  const file = join(folder, STATE_FILE);
  if ((await fileSize(file)) === undefined) return null;
  const { tensors, metadata } = readSafetensorsIndex(file);
  if (metadata.run !== run) throw new PrefmeshError('RESUME_MISMATCH', { file });
  const read = (name: string) => {
    const tensor = tensors.get(name);
    if (tensor?.shape[0] !== length) {
      throw new PrefmeshError('WEIGHTS_INVALID', { file, tensor: name, problem: `does not hold ${length} numbers` });
    }
    return readTensor(tensor);
  };
  const numbers = JSON.parse(metadata.numbers!) as { step: number; tokens: number; updates: number };
  const best = JSON.parse(metadata.best!) as { loss: number; step: number; waited: number } | null;
  return {
    state: {
      step: numbers.step,
      tokens: numbers.tokens,
      adapter: read('adapter'),
      optimizer: {
        firstMoment: read('first_moment'),
        secondMoment: read('second_moment'),
        step: numbers.updates,
      },
    },
    best: best === null ? null : { ...best, adapter: read('best') },
  };
}

/** Removes the saved state of a finished run. */
export async function forgetTraining(folder: string): Promise<void> {
  await rm(join(folder, STATE_FILE), { force: true });
}
