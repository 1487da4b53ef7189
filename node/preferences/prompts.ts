/**
 * Prompts to be answered, from a JSONL file: one `{"prompt"}` a line, as text or as chat messages. A file of pairs
 * serves too, for other fields are ignored. Errors name file, line and field, and never quote the text.
 */
import { readFile } from 'node:fs/promises';
import { z } from 'zod';
import { isPrefmeshError, PrefmeshError } from '../../protocol/errors.ts';
import { LIMITS } from '../../protocol/limits.ts';
import type { ChatTemplate } from '../model/chatTemplate.ts';
import { fileSize } from '../model/jsonFile.ts';

const messages = z.array(z.looseObject({ role: z.string().min(1), content: z.string() })).min(1);
const schema = z.looseObject({ prompt: z.union([z.string().min(1), messages]) });

export interface ReadPromptsOptions {
  /** Turns chat messages into text; without it such prompts are refused. */
  readonly template?: ChatTemplate | null | undefined;
}

/**
 * Reads all prompts of a file, in its order.
 *
 * @throws FILE_MISSING, PAIRS_INVALID, PAIRS_NONE
 */
export async function readPrompts(file: string, { template }: ReadPromptsOptions = {}): Promise<string[]> {
  const size = await fileSize(file);
  if (size === undefined) throw new PrefmeshError('FILE_MISSING', { file });
  if (size > LIMITS.pairsFile.value)
    throw invalid(file, 1, '(line)', `the file is over ${LIMITS.pairsFile.value} bytes`);
  let text: string;
  try {
    text = new TextDecoder('utf-8', { fatal: true }).decode(await readFile(file));
  } catch (error) {
    if (error instanceof TypeError) throw invalid(file, 1, '(line)', 'the file is not UTF-8');
    throw error;
  }
  const prompts = text.split('\n').flatMap((line, index) => {
    return line.trim() === '' ? [] : [parsePrompt(file, index + 1, line, template)];
  });
  if (prompts.length === 0) throw new PrefmeshError('PAIRS_NONE', { file, problem: 'it has no line with a prompt' });
  return prompts;
}

function parsePrompt(file: string, number: number, line: string, template: ChatTemplate | null | undefined): string {
  let json: unknown;
  try {
    json = JSON.parse(line);
  } catch {
    throw invalid(file, number, '(line)', 'is not JSON'); // no cause: it would quote the line
  }
  const parsed = schema.safeParse(json);
  if (!parsed.success) throw invalid(file, number, 'prompt', 'is missing, empty, or neither text nor messages');
  const { prompt } = parsed.data;
  if (typeof prompt === 'string') return prompt;
  if (template == null)
    throw invalid(file, number, 'prompt', 'is a list of messages, and the model has no chat template');
  try {
    return template.renderPair(prompt, []).prompt;
  } catch (error) {
    if (!isPrefmeshError(error, 'CHAT_TEMPLATE')) throw error;
    throw invalid(file, number, 'prompt', `cannot be rendered: ${error.message}`);
  }
}

function invalid(file: string, line: number, field: string, problem: string): PrefmeshError {
  return new PrefmeshError('PAIRS_INVALID', { file, line, field, problem });
}
