/**
 * The option that says how precisely a command holds the frozen base model.
 */
import { join } from 'node:path';
import { type Command, Option } from 'commander';
import { PrefmeshError } from '../../protocol/errors.ts';
import type { Checkpoint } from '../model/checkpoint.ts';
import { quantizeCheckpoint } from '../model/quantization/quantizedBase.ts';
import { QUANTIZATION_SCHEMES, type QuantizationScheme } from '../model/quantization/scheme.ts';
import { dataPaths } from '../storage/dataFolder.ts';
import type { ModelInput } from './modelInput.ts';
import type { Output } from './output.ts';
import { commandSignal } from './signal.ts';

export const BASE_PRECISIONS = ['full', ...QUANTIZATION_SCHEMES] as const;
export type BasePrecision = (typeof BASE_PRECISIONS)[number];

export interface BasePrecisionOptions {
  readonly home: string;
  readonly basePrecision: BasePrecision;
}

export function addBasePrecision(command: Command): Command {
  return command.addOption(
    new Option('--base-precision <name>', 'how the frozen base is held: as in its files, or in 4 bits (QLoRA)')
      .choices(BASE_PRECISIONS)
      .default('full'),
  );
}

/**
 * The model with its projections at the precision asked for; quantised once, kept in the data folder's cache.
 *
 * @throws USAGE where the model comes in another 4-bit form; QUANTIZATION_UNFIT, WEIGHTS_INVALID, DISK_FULL
 */
export async function atPrecision(
  model: ModelInput,
  { home, basePrecision }: BasePrecisionOptions,
  output: Output,
): Promise<ModelInput> {
  if (basePrecision === 'full') return model;
  return { ...model, checkpoint: await quantized(model.checkpoint, basePrecision, home, output) };
}

/** The checkpoint in 4 bits, from the cache of the data folder if it is there. */
export async function quantized(checkpoint: Checkpoint, scheme: QuantizationScheme, home: string, output: Output) {
  if (checkpoint.quantized !== undefined && checkpoint.quantized.scheme !== scheme) {
    throw new PrefmeshError('USAGE', {
      problem: `${checkpoint.name} comes in ${checkpoint.quantized.scheme}; it cannot be made into ${scheme}`,
      hint: 'leave --base-precision out, or start from the model in 16 bits',
    });
  }
  if (checkpoint.quantized !== undefined) return { ...checkpoint, quantized: checkpoint.quantized };
  let progress: ReturnType<Output['progress']> | undefined;
  const result = await quantizeCheckpoint(checkpoint, scheme, {
    folder: join(dataPaths(home).cache, 'quantized'),
    signal: commandSignal(),
    onDamaged: (file) => output.human(`note: ${file} is damaged; making it again`),
    onProgress(done, total) {
      progress ??= output.progress({ label: `quantising ${checkpoint.name} to ${scheme}`, total, unit: 'matrices' });
      progress.update(done);
    },
  });
  progress?.end();
  return result;
}
