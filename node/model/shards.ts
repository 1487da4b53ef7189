/**
 * Where the tensors of a model folder lie: in one `model.safetensors`, or spread over shards that
 * `model.safetensors.index.json` maps tensor names to.
 *
 * The index comes from elsewhere and is held against the shards: it may name only files of the folder, every tensor must
 * be where it says, and no tensor may lie in two shards, for then nobody could say which was meant.
 */
import { basename, join } from 'node:path';
import { z } from 'zod';
import { PrefmeshError } from '../../protocol/errors.ts';
import { fileSize, readJsonFile } from './jsonFile.ts';
import { readPackedIndex, type StoredDtype, type TensorLocation } from './safetensors.ts';

const SINGLE_FILE = 'model.safetensors';
const SHARD_INDEX = 'model.safetensors.index.json';

type Tensors = ReadonlyMap<string, TensorLocation<StoredDtype>>;

const indexSchema = z.looseObject({ weight_map: z.record(z.string(), z.string()) });

/**
 * All tensors of the folder, by name. `model` is what errors call it.
 *
 * @throws MODEL_NOT_FOUND where it holds no weights; WEIGHTS_INVALID, TENSOR_MISSING
 */
export async function locateTensors(model: string, folder: string): Promise<Tensors> {
  const single = join(folder, SINGLE_FILE);
  if ((await fileSize(single)) !== undefined) return readPackedIndex(single).tensors;
  const indexFile = join(folder, SHARD_INDEX);
  const damaged = (problem: string, cause?: unknown) =>
    new PrefmeshError('WEIGHTS_INVALID', { file: indexFile, tensor: '(index)', problem }, { cause });
  const read = await readJsonFile(indexFile, damaged);
  if (!read.found) throw new PrefmeshError('MODEL_NOT_FOUND', { model, problem: `the folder has no ${SINGLE_FILE}` });
  const parsed = indexSchema.safeParse(read.json);
  if (!parsed.success) throw damaged('has no weight_map of names to files', parsed.error);

  const mapped = Object.entries(parsed.data.weight_map);
  const shards = new Map<string, Tensors>();
  for (const [name, shard] of mapped) {
    if (shards.has(shard)) continue;
    if (basename(shard) !== shard || shard === '..') throw damaged(`names no file of the folder for ${name}`);
    if ((await fileSize(join(folder, shard))) === undefined) throw damaged(`names ${shard}, which is missing`);
    shards.set(shard, readPackedIndex(join(folder, shard)).tensors);
  }
  refuseDuplicates(shards, damaged);
  const located = new Map<string, TensorLocation<StoredDtype>>();
  for (const [name, shard] of mapped) {
    const tensor = shards.get(shard)!.get(name);
    if (tensor === undefined) throw new PrefmeshError('TENSOR_MISSING', { file: join(folder, shard), tensor: name });
    located.set(name, tensor);
  }
  return located;
}

function refuseDuplicates(shards: ReadonlyMap<string, Tensors>, damaged: (problem: string) => Error): void {
  const found = new Map<string, string>();
  for (const [shard, tensors] of shards) {
    for (const name of tensors.keys()) {
      const other = found.get(name);
      if (other !== undefined) throw damaged(`names ${other} and ${shard}, which both hold ${name}`);
      found.set(name, shard);
    }
  }
}
