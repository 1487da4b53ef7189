/**
 * Adapters as PEFT folders: `adapter_config.json` and `adapter_model.safetensors`.
 * Source: https://huggingface.co/docs/peft (checkpoint format).
 *
 * What is written loads everywhere: alpha / rank is folded into B and `lora_alpha` equals `r`, since some loaders
 * read only their quotient and one wants it whole; the fields are the old, small set that every version of PEFT
 * takes. The identity of the base goes into the safetensors metadata, where other loaders do not look.
 */
import { join } from 'node:path';
import { PrefmeshError } from '../../protocol/errors.ts';
import type { ModelConfig } from '../model/config.ts';
import { fileSize } from '../model/jsonFile.ts';
import {
  readSafetensorsIndex,
  readTensor,
  writeSafetensors,
  type TensorDtype,
  type TensorLocation,
} from '../model/safetensors.ts';
import { makeFolder, naming, writeFileAtomic } from '../storage/atomicFile.ts';
import { withAlpha, type Adapter } from './adapter.ts';
import { ADAPTER_CONFIG, readAdapterConfig } from './peftConfig.ts';
import { adapterVectorLength, adapterVectorTable, projectionPath, TARGET_MODULES } from './adapterVector.ts';

export const ADAPTER_WEIGHTS = 'adapter_model.safetensors';
const BASE_HASH_KEY = 'base_sha256';
const BASE_QUANTIZATION_KEY = 'base_quantization';

/**
 * Reads a PEFT folder for a model. F32, F16 and BF16 tensors are taken; rank-stabilised scaling (alpha / √r) is
 * turned into the alpha that has the same effect. Where the folder adapts some layers only, the others are zero.
 *
 * @throws ADAPTER_INVALID naming the file and the field or tensor; WEIGHTS_INVALID
 */
export async function readPeftAdapter(folder: string, config: ModelConfig): Promise<Adapter> {
  const { rank, alpha, mayLeaveOut } = await readAdapterConfig(folder);
  const file = join(folder, ADAPTER_WEIGHTS);
  await refuseMissing(folder, file);
  const { tensors, metadata } = readSafetensorsIndex(file);
  const left = new Map<string, TensorLocation>();
  for (const [name, tensor] of tensors) {
    if (left.has(plainName(name))) throw invalid(file, name, 'occurs twice, once for another adapter name');
    left.set(plainName(name), tensor);
  }

  const targets = TARGET_MODULES.filter((target) =>
    [...left.keys()].some((name) => name.includes(`.${projectionPath(target)}.lora_`)),
  );
  if (targets.length === 0) throw invalid(file, '(all)', 'holds no LoRA tensor of a projection of this model family');
  const table = adapterVectorTable(config, { rank, targets });
  const vector = new Float32Array(adapterVectorLength(table));
  const present = new Set(left.keys());
  for (const { name, shape, offset, layer } of table) {
    const tensor = left.get(name);
    if (tensor === undefined) {
      if (mayLeaveOut(layer) && !present.has(partnerName(name))) continue;
      throw invalid(file, name, 'is missing');
    }
    vector.set(readOf(tensor, shape), offset);
    left.delete(name);
  }
  const [extra] = left.values();
  if (extra !== undefined) throw invalid(file, extra.name, 'has no place in this model');
  const [scheme, sha256] = (metadata[BASE_QUANTIZATION_KEY] ?? '').split(' ') as [string, string?];
  const baseQuantization = sha256 === undefined ? null : { scheme, sha256 };
  return { rank, alpha, targets, vector, table, baseHash: metadata[BASE_HASH_KEY] ?? null, baseQuantization };
}

/**
 * The key as PEFT saves it, of one that still has the adapter's name in it (`lora_A.default.weight`, from a state
 * dictionary saved without PEFT) or lacks the wrapper's prefix.
 */
export function plainName(name: string): string {
  const bare = name.replace(/^(base_model\.model\.)?model\.(?=layers\.)/, '');
  const [, path, factor] = /^(layers\.\d+\..+\.lora_)([AB])(?:\.\w+)?\.weight$/.exec(bare) ?? [];
  return path === undefined ? name : `base_model.model.model.${path}${factor}.weight`;
}

function partnerName(name: string): string {
  return name.replace(/lora_[AB]/, (factor) => (factor === 'lora_A' ? 'lora_B' : 'lora_A'));
}

async function refuseMissing(folder: string, file: string): Promise<void> {
  if ((await fileSize(file)) !== undefined) return;
  const pickled = (await fileSize(join(folder, 'adapter_model.bin'))) !== undefined;
  const problem = pickled
    ? 'is missing; adapter_model.bin is not read, for a pickle can run code: save it with safe_serialization=True'
    : 'is missing';
  throw invalid(file, '(file)', problem);
}

function readOf(tensor: TensorLocation, [rows, columns]: readonly [number, number]): Float32Array {
  if (tensor.shape.length !== 2 || tensor.shape[0] !== rows || tensor.shape[1] !== columns) {
    const problem = `has shape [${tensor.shape.join(', ')}] where this model and rank need [${rows}, ${columns}]`;
    throw invalid(tensor.file, tensor.name, problem);
  }
  const values = readTensor(tensor);
  if (!values.every(Number.isFinite)) throw invalid(tensor.file, tensor.name, 'holds a value that is not finite');
  return values;
}

export interface WriteAdapterOptions {
  /** Name of the base model, as others would look for it. */
  readonly baseModel: string;
  /** Facts for the model card, label and value; counts and settings only, never text of pairs. */
  readonly card?: Readonly<Record<string, string | number>>;
  /** The whole model card, in place of one made from `card`. */
  readonly readme?: string;
  /** How the tensors are stored; default F32. */
  readonly dtype?: TensorDtype;
}

/**
 * Writes an adapter as a PEFT folder, scale folded in. The weights come last, so a folder that has them is whole.
 *
 * @throws EXPORT_RANGE for a value that `dtype` cannot hold; DISK_FULL, STORAGE_FAILED
 */
export async function writePeftAdapter(folder: string, adapter: Adapter, options: WriteAdapterOptions): Promise<void> {
  const { rank, vector, table, baseHash, baseQuantization } = withAlpha(adapter, adapter.rank);
  const config = {
    base_model_name_or_path: options.baseModel,
    bias: 'none',
    fan_in_fan_out: false,
    inference_mode: true,
    init_lora_weights: true,
    layers_pattern: null,
    layers_to_transform: null,
    lora_alpha: rank,
    lora_dropout: 0,
    modules_to_save: null,
    peft_type: 'LORA',
    r: rank,
    revision: null,
    target_modules: TARGET_MODULES.filter((target) => adapter.targets.includes(target)),
    task_type: 'CAUSAL_LM',
  };
  const tensors = table.map(({ name, shape, offset }) => {
    return { name, shape, data: vector.subarray(offset, offset + shape[0] * shape[1]) };
  });
  const quantization = baseQuantization && `${baseQuantization.scheme} ${baseQuantization.sha256}`;
  const metadata = {
    format: 'pt',
    ...(baseHash === null ? {} : { [BASE_HASH_KEY]: baseHash }),
    ...(quantization ? { [BASE_QUANTIZATION_KEY]: quantization } : {}),
  };
  await naming(folder, () => makeFolder(folder));
  const readable = { mode: 0o644 };
  await writeFileAtomic(join(folder, ADAPTER_CONFIG), `${JSON.stringify(config, null, 2)}\n`, readable);
  await writeFileAtomic(join(folder, 'README.md'), options.readme ?? modelCard(adapter, options), readable);
  await writeSafetensors(join(folder, ADAPTER_WEIGHTS), tensors, metadata, options.dtype);
}

function modelCard(adapter: Adapter, { baseModel, card = {} }: WriteAdapterOptions): string {
  const facts = {
    'Base model': baseModel,
    'Base model SHA-256': adapter.baseHash ?? 'not recorded',
    ...(adapter.baseQuantization && {
      'Base held in': `${adapter.baseQuantization.scheme}, 4 bits; quantised weights ${adapter.baseQuantization.sha256}`,
    }),
    Rank: adapter.rank,
    Projections: adapter.targets.join(', '),
    Parameters: adapter.vector.length,
    ...card,
  };
  const rows = Object.entries(facts).map(([label, value]) => `| ${label} | ${value} |`);
  return [
    '---',
    `base_model: ${JSON.stringify(baseModel)}`,
    'library_name: peft',
    'pipeline_tag: text-generation',
    'tags:',
    '  - dpo',
    '  - lora',
    '  - prefmesh',
    '---',
    '',
    '# LoRA adapter trained on preference pairs',
    '',
    'Trained with the DPO loss against the frozen base model. The scale is folded into B, so `lora_alpha` equals `r`.',
    '',
    '| | |',
    '|---|---|',
    ...rows,
    '',
  ].join('\n');
}

function invalid(file: string, part: string, problem: string, cause?: unknown): PrefmeshError {
  return new PrefmeshError('ADAPTER_INVALID', { file, part, problem }, cause === undefined ? {} : { cause });
}
