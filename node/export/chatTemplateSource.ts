/** The Jinja source of a model folder's chat template, for files that carry it along. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { PrefmeshError } from '../../protocol/errors.ts';
import { fileSize, readJsonFile } from '../model/jsonFile.ts';

/**
 * From `chat_template.jinja`, else from `tokenizer_config.json`, where it is one text or the one named `default`.
 *
 * @throws TOKENIZER_INVALID
 */
export async function chatTemplateSource(folder: string): Promise<string | null> {
  const file = join(folder, 'chat_template.jinja');
  if ((await fileSize(file)) !== undefined) return await readFile(file, 'utf8');
  const settings = join(folder, 'tokenizer_config.json');
  const read = await readJsonFile(settings, (problem, cause) => {
    return new PrefmeshError('TOKENIZER_INVALID', { file: settings, problem }, { cause });
  });
  if (!read.found) return null;
  const { chat_template: template } = read.json as { chat_template?: unknown };
  if (typeof template === 'string') return template;
  if (!Array.isArray(template)) return null;
  const named = (template as { name?: unknown; template?: unknown }[]).find(({ name }) => name === 'default');
  return typeof named?.template === 'string' ? named.template : null;
}
