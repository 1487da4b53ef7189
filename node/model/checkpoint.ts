/**
 * A checkpoint: a Hugging Face model folder whose tensors are all there with the right shapes, and its identity.
 *
 * Weights stay on disk; the engine reads or maps them by location. The identity is what a federation names its base
 * model by, so it depends on nothing but content (see `hashCheckpoint`).
 */
import { basename, isAbsolute, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { PrefmeshError } from '../../protocol/errors.ts';
import { checkpointHash } from './checkpointHash.ts';
import { parseModelConfig, type ModelConfig } from './config.ts';
import { endTokensOf } from './generationConfig.ts';
import { fileSize, readJsonFile } from './jsonFile.ts';
import { quantizedAmong } from './quantization/quantizedFile.ts';
import type { QuantizedTensor } from './quantization/quantizedTensors.ts';
import type { StoredDtype, TensorLocation } from './safetensors.ts';
import type { QuantizedWeights } from './quantization/quantizedBase.ts';
import { locateTensors } from './shards.ts';
import { expectedTensors } from './weights.ts';

export interface Checkpoint {
  readonly folder: string;
  /** How the user named it: `embedded`, an id, or the folder's last part. */
  readonly name: string;
  readonly config: ModelConfig;
  readonly tensors: ReadonlyMap<string, TensorLocation>;
  /** SHA-256, lower-case hex. */
  readonly hash: string;
  /** The projections in 4 bits, where these are to take the place of the checkpoint's own. */
  readonly quantized?: QuantizedWeights;
}

export interface OpenCheckpointOptions {
  /** The data folder, under which models fetched by id lie. */
  readonly home?: string;
}

const MODEL_ID = /^[\w][\w.-]*(\/[\w][\w.-]*)?$/;

/** The folder of the small model that ships in the package. */
export const EMBEDDED_FOLDER: string = fileURLToPath(new URL('./embedded', import.meta.url));

/**
 * Opens the model named on a command line: the word `embedded`, a folder, or an id stored under `home`.
 *
 * @throws MODEL_NOT_FOUND, MODEL_CONFIG_INVALID, MODEL_UNSUPPORTED, WEIGHTS_INVALID, TENSOR_MISSING, TENSOR_SHAPE
 */
export async function openCheckpoint(model: string, { home }: OpenCheckpointOptions = {}): Promise<Checkpoint> {
  const { folder, name } = await findFolder(model, home);
  const configFile = join(folder, 'config.json');
  const read = await readJsonFile(configFile, (problem, cause) => {
    return new PrefmeshError('MODEL_CONFIG_INVALID', { file: configFile, field: '(root)', problem }, { cause });
  });
  if (!read.found) throw new PrefmeshError('MODEL_NOT_FOUND', { model, problem: 'the folder has no config.json' });
  const parsed = parseModelConfig(read.json, configFile);
  const config = { ...parsed, eosTokenIds: await endTokensOf(folder, parsed.eosTokenIds) };
  const stored = await locateTensors(model, folder);
  const packed = quantizedAmong(stored, config);
  const tensors = plainTensors(stored, packed);
  checkTensors(config, tensors, packed, folder);
  const hash = await checkpointHash(folder, stored);
  const checkpoint = { folder, name, config, tensors, hash };
  return packed.size === 0 ? checkpoint : { ...checkpoint, quantized: packedCheckpoint(hash, packed) };
}

async function findFolder(model: string, home: string | undefined): Promise<{ folder: string; name: string }> {
  if (model === 'embedded') return { folder: EMBEDDED_FOLDER, name: model };
  const folder = resolve(model);
  if ((await fileSize(join(folder, 'config.json'))) !== undefined) return { folder, name: basename(folder) };
  if (home !== undefined && !isAbsolute(model) && MODEL_ID.test(model)) {
    const stored = join(home, 'models', ...model.split('/'));
    if ((await fileSize(join(stored, 'config.json'))) !== undefined) return { folder: stored, name: model };
  }
  throw new PrefmeshError('MODEL_NOT_FOUND', { model, problem: 'there is no such folder with a config.json' });
}

/** The tensors of numbers, without the parts of packed ones. @throws WEIGHTS_INVALID of bytes that belong to none */
function plainTensors(
  stored: ReadonlyMap<string, TensorLocation<StoredDtype>>,
  packed: ReadonlyMap<string, QuantizedTensor>,
): Map<string, TensorLocation> {
  const plain = new Map<string, TensorLocation>();
  for (const [name, tensor] of stored) {
    const owner = name.slice(0, name.indexOf('.weight') + '.weight'.length);
    if (packed.has(owner)) continue;
    if (tensor.dtype === 'U8') {
      const problem = 'has dtype U8 and is no packed projection; F32, F16 and BF16 are read';
      throw new PrefmeshError('WEIGHTS_INVALID', { file: tensor.file, tensor: name, problem });
    }
    plain.set(name, tensor as TensorLocation);
  }
  return plain;
}

/** Of a checkpoint that comes in 4 bits, its own identity names the quantised base. */
function packedCheckpoint(hash: string, tensors: ReadonlyMap<string, QuantizedTensor>): QuantizedWeights {
  const [{ scheme, codes }] = tensors.values() as unknown as [QuantizedTensor];
  const bytes = [...tensors.values()].reduce((sum, each) => sum + each.codes.bytes, 0);
  return { scheme, hash, file: codes.file, bytes, tensors };
}

function checkTensors(
  config: ModelConfig,
  tensors: ReadonlyMap<string, TensorLocation>,
  packed: ReadonlyMap<string, QuantizedTensor>,
  folder: string,
): void {
  for (const [name, expected] of expectedTensors(config)) {
    if (packed.has(name)) continue;
    const tensor = tensors.get(name);
    if (tensor === undefined) throw new PrefmeshError('TENSOR_MISSING', { file: folder, tensor: name });
    if (tensor.shape.length !== expected.length || tensor.shape.some((side, i) => side !== expected[i])) {
      const [shape, wanted] = [`[${tensor.shape.join(', ')}]`, `[${expected.join(', ')}]`];
      throw new PrefmeshError('TENSOR_SHAPE', { file: tensor.file, tensor: name, shape, expected: wanted });
    }
  }
}
