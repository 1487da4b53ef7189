/**
 * Which files of a repository a model needs: configuration, tokenizer, safetensors, and what states the licence.
 * Weights in other formats (`.bin`, `.gguf`, ONNX) and whatever else lies there is left alone.
 */
import { z } from 'zod';
import { PrefmeshError } from '../../../protocol/errors.ts';
import type { HubFile, HubModel } from './repository.ts';

const CONFIG = 'config.json';
const TOKENIZER = 'tokenizer.json';
const SINGLE = 'model.safetensors';
export const SHARD_INDEX = 'model.safetensors.index.json';

/** Fetched where they are there. */
const OPTIONAL = new Set([
  'generation_config.json',
  'tokenizer_config.json',
  'special_tokens_map.json',
  'added_tokens.json',
  'vocab.json',
  'merges.txt',
  'tokenizer.model',
  'chat_template.jinja',
  'chat_template.json',
]);
const LICENCE_TEXT = /^(README\.md|(LICEN[CS]E|NOTICE|USE_POLICY)(\.(md|txt))?)$/i;
const SHARD = /^[A-Za-z0-9_][\w.-]*\.safetensors$/;

export interface Selection {
  /** All but the weights: small, fetched first, so that a model that cannot be used is refused before gigabytes. */
  readonly texts: readonly HubFile[];
  /** The one weight file, or null where an index among the texts names the shards. */
  readonly single: HubFile | null;
}

/** @throws HUB_FILES_UNFIT for a repository without one of the files that every model needs */
export function selectFiles({ id, files }: HubModel): Selection {
  const byName = new Map(files.map((file) => [file.name, file]));
  for (const needed of [CONFIG, TOKENIZER]) {
    if (!byName.has(needed)) throw new PrefmeshError('HUB_FILES_UNFIT', { model: id, problem: `it has no ${needed}` });
  }
  const single = byName.get(SINGLE) ?? null;
  if (single === null && !byName.has(SHARD_INDEX)) {
    const other = files.find(({ name }) => /\.(bin|gguf|pth?|h5|msgpack|onnx)$/.test(name));
    const problem = `it has no weights as ${SINGLE}${other === undefined ? '' : `, only files like ${other.name}`}`;
    throw new PrefmeshError('HUB_FILES_UNFIT', { model: id, problem });
  }
  const isText = ({ name }: HubFile) =>
    name === CONFIG ||
    name === TOKENIZER ||
    OPTIONAL.has(name) ||
    LICENCE_TEXT.test(name) ||
    (single === null && name === SHARD_INDEX);
  return { texts: files.filter(isText), single };
}

const indexSchema = z.looseObject({ weight_map: z.record(z.string(), z.string()) });

/**
 * The shards that an index names.
 *
 * @param index the parsed JSON of the index
 * @throws HUB_FILES_UNFIT for an index that names none, a strange name, or a file that is not listed
 */
export function selectShards({ id, files }: HubModel, index: unknown): HubFile[] {
  const unfit = (problem: string) => new PrefmeshError('HUB_FILES_UNFIT', { model: id, problem });
  const parsed = indexSchema.safeParse(index);
  if (!parsed.success) throw unfit(`its ${SHARD_INDEX} has no weight_map`);
  const names = [...new Set(Object.values(parsed.data.weight_map))].sort();
  if (names.length === 0) throw unfit(`its ${SHARD_INDEX} names no file`);
  const byName = new Map(files.map((file) => [file.name, file]));
  return names.map((name) => {
    const file = SHARD.test(name) ? byName.get(name) : undefined;
    if (file === undefined)
      throw unfit(`its ${SHARD_INDEX} names ${JSON.stringify(name.slice(0, 100))}, not in its list`);
    return file;
  });
}
