/**
 * A PEFT folder read without its base model: the tensors are taken as their names and shapes say.
 */
import { join } from 'node:path';
import { readSafetensorsIndex, readTensor } from '../../node/model/safetensors.ts';
import { withAlpha, type Adapter } from '../../node/training/adapter.ts';
import { TARGET_MODULES, type AdapterVectorEntry } from '../../node/training/adapterVector.ts';
import { ADAPTER_WEIGHTS, plainName } from '../../node/training/peft.ts';
import { readAdapterConfig } from '../../node/training/peftConfig.ts';
import { PrefmeshError } from '../../protocol/errors.ts';

const LORA_NAME = /\.layers\.(\d+)\..*?(\w+)\.lora_([AB])\.weight$/;

/**
 * The adapter of a folder, its scale folded into B (alpha equals rank), so that adapters of different scales can be
 * compared and averaged. Throws ADAPTER_INVALID, WEIGHTS_INVALID.
 */
export async function readAdapterFolder(folder: string): Promise<Adapter> {
  const { rank, alpha } = await readAdapterConfig(folder);
  const file = join(folder, ADAPTER_WEIGHTS);
  const { tensors, metadata } = readSafetensorsIndex(file);
  const table: AdapterVectorEntry[] = [];
  let length = 0;
  const byPlainName = new Map([...tensors.values()].map((tensor) => [plainName(tensor.name), tensor]));
  if (byPlainName.size < tensors.size) {
    const problem = 'has tensors that occur twice, once for another adapter name';
    throw new PrefmeshError('ADAPTER_INVALID', { file, part: '(names)', problem });
  }
  for (const [name, { shape }] of [...byPlainName].sort(([a], [b]) => (a < b ? -1 : 1))) {
    const [, layer, module, factor] = LORA_NAME.exec(name) ?? [];
    const target = TARGET_MODULES.find((known) => known === module);
    const [rows, columns] = shape;
    if (target === undefined || shape.length !== 2 || rows === undefined || columns === undefined) {
      throw new PrefmeshError('ADAPTER_INVALID', { file, part: name, problem: 'is no LoRA tensor of a layer' });
    }
    if ((factor === 'A' ? rows : columns) !== rank) {
      throw new PrefmeshError('ADAPTER_INVALID', { file, part: name, problem: `does not have rank ${rank}` });
    }
    const entry = { name, layer: Number(layer), target, factor: factor as 'A' | 'B', shape: [rows, columns] as const };
    table.push({ ...entry, offset: length });
    length += rows * columns;
  }
  if (table.length === 0)
    throw new PrefmeshError('ADAPTER_INVALID', { file, part: '(all)', problem: 'holds no tensor' });
  const vector = new Float32Array(length);
  for (const { name, offset } of table) vector.set(readTensor(byPlainName.get(name)!), offset);
  const targets = TARGET_MODULES.filter((target) => table.some((entry) => entry.target === target));
  const baseHash = metadata.base_sha256 ?? null;
  return withAlpha({ rank, alpha, targets, vector, table, baseHash }, rank);
}
