/**
 * `generation_config.json` of a model folder: of its fields only the tokens that end an answer. Instruction-tuned models
 * often name one in `config.json` and several here.
 *
 * It is no part of a checkpoint's identity: it changes where an answer stops, and no log-probability.
 */
import { join } from 'node:path';
import { PrefmeshError } from '../../protocol/errors.ts';
import { generationFields } from './configFields.ts';
import { readJsonFile } from './jsonFile.ts';

/**
 * The tokens of `config.json` that end an answer, and after them those that only `generation_config.json` has.
 *
 * @throws MODEL_CONFIG_INVALID naming the file
 */
export async function endTokensOf(folder: string, ofConfig: readonly number[]): Promise<number[]> {
  const file = join(folder, 'generation_config.json');
  const invalid = (field: string, problem: string, cause?: unknown) =>
    new PrefmeshError('MODEL_CONFIG_INVALID', { file, field, problem }, { cause });
  const read = await readJsonFile(file, (problem, cause) => invalid('(root)', problem, cause));
  if (!read.found) return [...ofConfig];
  const parsed = generationFields.safeParse(read.json);
  if (!parsed.success) {
    const issue = parsed.error.issues[0];
    throw invalid(issue?.path.join('.') || '(root)', issue?.message ?? 'is invalid', parsed.error);
  }
  const ends = parsed.data.eos_token_id ?? [];
  return [...new Set([...ofConfig, ...(Array.isArray(ends) ? ends : [ends])])];
}
