/**
 * What an adapter folder holds, read without its base model.
 */
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { PrefmeshError } from '../../protocol/errors.ts';
import { readSafetensorsIndex, readTensor, type TensorLocation } from '../model/safetensors.ts';
import { ADAPTER_WEIGHTS, readAdapterConfig } from './peft.ts';

export interface AdapterInspection {
  readonly rank: number;
  readonly alpha: number;
  /** Names of the adapted projections. */
  readonly targets: readonly string[];
  readonly layers: number;
  readonly parameters: number;
  readonly dtypes: readonly string[];
  readonly bytes: number;
  /** Frobenius norm of what the adapter adds to the base: of alpha / rank · B A, over all projections. */
  readonly norm: number;
  /** Identity of the base it was trained on, where the file says. */
  readonly base_sha256: string | null;
  /** Of the weight file. */
  readonly sha256: string;
}

/** @throws ADAPTER_INVALID, WEIGHTS_INVALID */
export async function inspectAdapter(folder: string): Promise<AdapterInspection> {
  const { rank, alpha } = await readAdapterConfig(folder);
  const file = join(folder, ADAPTER_WEIGHTS);
  const { tensors, metadata } = readSafetensorsIndex(file);
  const all = [...tensors.values()];
  const targets = new Set<string>();
  const layers = new Set<string>();
  let squares = 0;
  for (const a of all) {
    const match = /\.layers\.(\d+)\..*?(\w+)\.lora_([AB])\.weight$/.exec(a.name);
    if (match === null)
      throw new PrefmeshError('ADAPTER_INVALID', { file, part: a.name, problem: 'is no LoRA tensor of a layer' });
    if (match[3] === 'B') continue;
    layers.add(match[1]!);
    targets.add(match[2]!);
    const partner = a.name.replace('.lora_A.', '.lora_B.');
    const b = tensors.get(partner);
    if (b === undefined) throw new PrefmeshError('ADAPTER_INVALID', { file, part: partner, problem: 'is missing' });
    squares += productSquares(a, b);
  }
  const hash = createHash('sha256');
  await pipeline(createReadStream(file), hash);
  return {
    rank,
    alpha,
    targets: [...targets],
    layers: layers.size,
    parameters: all.reduce((sum, { shape }) => sum + shape.reduce((product, side) => product * side, 1), 0),
    dtypes: [...new Set(all.map(({ dtype }) => dtype))].sort(),
    bytes: all.reduce((sum, { bytes }) => sum + bytes, 0),
    norm: (alpha / rank) * Math.sqrt(squares),
    base_sha256: metadata.base_sha256 ?? null,
    sha256: hash.digest('hex'),
  };
}

/** ‖B A‖² = Σ (A Aᵀ) ∘ (Bᵀ B), two matrices of rank by rank, without forming B A. */
function productSquares(locationA: TensorLocation, locationB: TensorLocation): number {
  const [rank, width] = locationA.shape as [number, number];
  const [out, rankB] = locationB.shape as [number, number];
  if (rank !== rankB) {
    const problem = `has rank ${rankB} where its A has ${rank}`;
    throw new PrefmeshError('ADAPTER_INVALID', { file: locationB.file, part: locationB.name, problem });
  }
  const a = readTensor(locationA);
  const b = readTensor(locationB);
  let sum = 0;
  for (let i = 0; i < rank; i++) {
    for (let j = 0; j < rank; j++) {
      let aa = 0;
      let bb = 0;
      for (let k = 0; k < width; k++) aa += a[i * width + k]! * a[j * width + k]!;
      for (let k = 0; k < out; k++) bb += b[k * rank + i]! * b[k * rank + j]!;
      sum += aa * bb;
    }
  }
  return sum;
}
