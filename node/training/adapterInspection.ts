/**
 * What an adapter folder holds, read without its base model.
 */
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { PrefmeshError } from '../../protocol/errors.ts';
import { readSafetensorsIndex, readTensor, type TensorLocation } from '../model/safetensors.ts';
import { adapterPortability, type Portability } from './adapterPortability.ts';
import { ADAPTER_WEIGHTS, plainName } from './peft.ts';
import { readAdapterConfig } from './peftConfig.ts';

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
  /** Each adapted projection by its path, in the order of layers, and the norm of what it gets. */
  readonly modules: readonly { readonly module: string; readonly norm: number }[];
  /** Whether every number is finite; where not, norms are null in JSON. */
  readonly finite: boolean;
  /** Which programs load the folder as it stands. */
  readonly portability: readonly Portability[];
  /** Identity of the base it was trained on, where the file says. */
  readonly base_sha256: string | null;
  /** Of the weight file. */
  readonly sha256: string;
}

/** @throws ADAPTER_INVALID, WEIGHTS_INVALID */
export async function inspectAdapter(folder: string): Promise<AdapterInspection> {
  const config = await readAdapterConfig(folder);
  const { rank, alpha } = config;
  const file = join(folder, ADAPTER_WEIGHTS);
  const { tensors, metadata } = readSafetensorsIndex(file);
  const all = [...tensors.values()];
  const byPlainName = new Map(all.map((tensor) => [plainName(tensor.name), tensor]));
  const found: {
    readonly layer: number;
    readonly target: string;
    readonly module: string;
    readonly squares: number;
  }[] = [];
  for (const [name, a] of byPlainName) {
    const match = /\.(layers\.(\d+)\..*?(\w+))\.lora_([AB])\.weight$/.exec(name);
    if (match === null)
      throw new PrefmeshError('ADAPTER_INVALID', { file, part: a.name, problem: 'is no LoRA tensor of a layer' });
    if (match[4] === 'B') continue;
    const partner = name.replace('.lora_A.', '.lora_B.');
    const b = byPlainName.get(partner);
    if (b === undefined) throw new PrefmeshError('ADAPTER_INVALID', { file, part: partner, problem: 'is missing' });
    const squares = productSquares(a, b);
    found.push({ layer: Number(match[2]), target: match[3]!, module: match[1]!, squares });
  }
  found.sort((a, b) => a.layer - b.layer || (a.module < b.module ? -1 : 1));
  const scale = alpha / rank;
  const squares = found.reduce((sum, each) => sum + each.squares, 0);
  const hash = createHash('sha256');
  await pipeline(createReadStream(file), hash);
  return {
    rank,
    alpha,
    targets: [...new Set(found.map(({ target }) => target))],
    layers: new Set(found.map(({ layer }) => layer)).size,
    parameters: all.reduce((sum, { shape }) => sum + shape.reduce((product, side) => product * side, 1), 0),
    dtypes: [...new Set(all.map(({ dtype }) => dtype))].sort(),
    bytes: all.reduce((sum, { bytes }) => sum + bytes, 0),
    norm: scale * Math.sqrt(squares),
    modules: found.map(({ module, squares: own }) => ({ module, norm: scale * Math.sqrt(own) })),
    finite: all.every((tensor) => readTensor(tensor).every(Number.isFinite)),
    portability: adapterPortability(
      config,
      all.map(({ name }) => name).every((name) => name === plainName(name)),
    ),
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
