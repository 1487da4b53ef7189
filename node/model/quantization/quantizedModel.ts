/**
 * A quantised base as a model folder of its own: config, tokenizer and one file of weights, packed and plain.
 */
import { copyFile, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { makeFolder, naming, writeFileAtomic } from '../../storage/atomicFile.ts';
import type { Checkpoint } from '../checkpoint.ts';
import { fileSize } from '../jsonFile.ts';
import {
  BYTES_PER_ELEMENT,
  readPackedIndex,
  tensorPieces,
  type StoredDtype,
  type TensorLocation,
} from '../safetensors.ts';
import { streamSafetensors } from '../safetensorsStream.ts';
import { expectedTensors } from '../weights.ts';
import { quantizationConfig } from './quantizationConfig.ts';
import type { QuantizedWeights } from './quantizedBase.ts';

/** What else a model folder may hold that its users need. */
const COPIED = [
  'tokenizer.json',
  'tokenizer_config.json',
  'special_tokens_map.json',
  'chat_template.jinja',
  'generation_config.json',
];

/**
 * Writes the folder. The weights come last, so a folder that has them is whole.
 *
 * @throws DISK_FULL, STORAGE_FAILED
 */
export async function writeQuantizedModel(
  folder: string,
  { folder: original, config, tensors, quantized }: Checkpoint & { readonly quantized: QuantizedWeights },
  { signal }: { readonly signal?: AbortSignal } = {},
): Promise<void> {
  await naming(folder, () => makeFolder(folder));
  for (const name of COPIED) {
    if ((await fileSize(join(original, name))) === undefined) continue;
    await naming(join(folder, name), () => copyFile(join(original, name), join(folder, name)));
  }
  const json = JSON.parse(await readFile(join(original, 'config.json'), 'utf8')) as Record<string, unknown>;
  const described = { ...json, quantization_config: quantizationConfig(quantized.scheme) };
  await writeFileAtomic(join(folder, 'config.json'), `${JSON.stringify(described, null, 2)}\n`, { mode: 0o644 });

  // Each packed group ends on its alignment; after them wide numbers come first, so that all are aligned.
  const plain = [...expectedTensors(config).keys()].filter((name) => !quantized.tensors.has(name)).sort();
  const rest = plain
    .map((name) => tensors.get(name)!)
    .sort((a, b) => BYTES_PER_ELEMENT[b.dtype] - BYTES_PER_ELEMENT[a.dtype]);
  const all = [...readPackedIndex(quantized.file).tensors.values(), ...rest];
  await streamSafetensors(join(folder, 'model.safetensors'), all, piecesOf(all), { signal });
}

function* piecesOf(tensors: readonly TensorLocation<StoredDtype>[]): Iterable<Uint8Array> {
  for (const tensor of tensors) yield* tensorPieces(tensor);
}
