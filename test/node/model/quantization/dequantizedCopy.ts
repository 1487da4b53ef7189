import { cp } from 'node:fs/promises';
import { join } from 'node:path';
import { openCheckpoint, type Checkpoint } from '../../../../node/model/checkpoint.ts';
import { dequantizeInt4, quantizeInt4 } from '../../../../node/model/quantization/int4.ts';
import { dequantizeNf4, quantizeNf4 } from '../../../../node/model/quantization/nf4.ts';
import { projectionsOf } from '../../../../node/model/quantization/quantizedFile.ts';
import type { QuantizationScheme } from '../../../../node/model/quantization/scheme.ts';
import { readTensor, writeSafetensors, type NamedTensor } from '../../../../node/model/safetensors.ts';

/** What the weights of a scheme stand for, by the plain quantisers. */
export function rounded(weights: Float32Array, scheme: QuantizationScheme): Float32Array {
  return scheme === 'nf4' ? dequantizeNf4(quantizeNf4(weights), weights.length) : dequantizeInt4(quantizeInt4(weights));
}

/** A float32 checkpoint in `folder` whose projections are what their 4-bit forms stand for. */
export async function dequantizedCopy(
  checkpoint: Checkpoint,
  scheme: QuantizationScheme,
  folder: string,
): Promise<Checkpoint> {
  await cp(checkpoint.folder, folder, { recursive: true });
  const projections = new Set([...projectionsOf(checkpoint.config)].map(([name]) => name));
  const tensors: NamedTensor[] = [...checkpoint.tensors.values()].map((location) => {
    const data = readTensor(location);
    const { name, shape } = location;
    return { name, shape, data: projections.has(name) ? rounded(data, scheme) : data };
  });
  await writeSafetensors(join(folder, 'model.safetensors'), tensors);
  return openCheckpoint(folder);
}
