/**
 * Preference pairs from a JSONL file: one `{"id"?, "prompt"?, "chosen", "rejected", "metadata"?}` a line.
 *
 * The three are all text or all lists of chat messages. Text is taken as it stands, whether the model has a chat
 * template or not; messages are written out by the template, with a line's `tools` and `chat_template_kwargs`. Without
 * a prompt, chosen and rejected begin with it: with the same messages, or, as text, with the same tokens.
 *
 * The file is read as a stream, bounded by line and in whole, and believed nothing: it must be UTF-8, every line an
 * object with its fields, none empty, ids unique. Errors name file, line and field, and never quote the text,
 * for the text is private. Other fields are ignored, blank lines skipped. Equal answers are kept here, because they
 * can be scored; training leaves them out and counts them.
 */
import { createReadStream } from 'node:fs';
import { z } from 'zod';
import { isPrefmeshError, PrefmeshError } from '../../protocol/errors.ts';
import { LIMITS } from '../../protocol/limits.ts';
import {
  RESERVED_VARIABLES,
  type ChatMessage,
  type ChatTemplate,
  type RenderedPair,
  type TemplateInput,
} from '../model/chatTemplate.ts';
import { fileSize } from '../model/jsonFile.ts';
import { naming } from '../storage/atomicFile.ts';
import { conversationProblem, withoutSharedMessages } from './conversation.ts';

export interface PreferencePair {
  /** From the file, or `line-N` where the line gives none. */
  readonly id: string;
  /** Null where chosen and rejected are whole texts that begin with it. */
  readonly prompt: string | null;
  readonly chosen: string;
  readonly rejected: string;
  /** Of a pair that a chat template has written out: where it puts the boundary of prompt and answer. */
  readonly boundary?: RenderedPair['boundary'];
  readonly metadata?: Readonly<Record<string, unknown>>;
}

export interface ReadPairsOptions {
  /** Turns pairs of chat messages into text; without it such pairs are refused. */
  readonly template?: ChatTemplate | null | undefined;
}

const messages = z.array(z.looseObject({ role: z.string().min(1), content: z.string() })).min(1);
const text = z.union([z.string().min(1), messages]);
const schema = z.looseObject({
  id: z.union([z.string().min(1), z.int().transform(String)]).nullish(),
  prompt: text.nullish(),
  chosen: text,
  rejected: text,
  tools: z.array(z.unknown()).nullish(),
  chat_template_kwargs: z.record(z.string(), z.unknown()).nullish(),
  metadata: z.record(z.string(), z.unknown()).nullish(),
});

const NEWLINE = 0x0a;

/**
 * Reads all pairs of a file, in its order.
 *
 * @throws FILE_MISSING, PAIRS_INVALID, PAIRS_NONE, CHAT_TEMPLATE
 */
export async function readPairs(file: string, { template }: ReadPairsOptions = {}): Promise<PreferencePair[]> {
  const size = await fileSize(file);
  if (size === undefined) throw new PrefmeshError('FILE_MISSING', { file });
  if (size > LIMITS.pairsFile.value)
    throw invalid(file, 1, '(line)', `the file is over ${LIMITS.pairsFile.value} bytes`);

  const pairs: PreferencePair[] = [];
  const lineOfId = new Map<string, number>();
  await naming(file, async () => {
    for await (const { number, bytes } of lines(file)) {
      const pair = parseLine(file, number, bytes, template);
      if (pair === undefined) continue;
      const earlier = lineOfId.get(pair.id);
      if (earlier !== undefined) throw invalid(file, number, 'id', `is the id of line ${earlier} too`);
      lineOfId.set(pair.id, number);
      pairs.push(pair);
    }
  });
  if (pairs.length === 0) throw new PrefmeshError('PAIRS_NONE', { file, problem: 'it has no line with a pair' });
  return pairs;
}

/** Lines as bytes, numbered from 1, each held to the bound before more of it is read. */
async function* lines(file: string): AsyncGenerator<{ number: number; bytes: Buffer }> {
  let pending: Buffer[] = [];
  let pendingBytes = 0;
  let number = 1;
  const add = (part: Buffer) => {
    pending.push(part);
    pendingBytes += part.length;
    if (pendingBytes > LIMITS.pairsLine.value) {
      throw invalid(file, number, '(line)', `is over ${LIMITS.pairsLine.value} bytes long`);
    }
  };
  for await (const chunk of createReadStream(file) as AsyncIterable<Buffer>) {
    let start = 0;
    for (let end = chunk.indexOf(NEWLINE); end !== -1; end = chunk.indexOf(NEWLINE, start)) {
      add(chunk.subarray(start, end));
      yield { number: number++, bytes: Buffer.concat(pending) };
      [pending, pendingBytes, start] = [[], 0, end + 1];
    }
    add(chunk.subarray(start));
  }
  yield { number, bytes: Buffer.concat(pending) };
}

function parseLine(
  file: string,
  number: number,
  bytes: Buffer,
  template: ChatTemplate | null | undefined,
): PreferencePair | undefined {
  const line = decode(file, number, bytes);
  if (line.trim() === '') return undefined;
  let json: unknown;
  try {
    json = JSON.parse(line);
  } catch {
    throw invalid(file, number, '(line)', 'is not JSON'); // no cause: it would quote the line
  }
  const parsed = schema.safeParse(json);
  if (!parsed.success) {
    const path = parsed.error.issues[0]?.path ?? [];
    throw invalid(file, number, String(path[0] ?? '(line)'), problemOf(json, path[0]));
  }
  const { id, metadata } = parsed.data;
  const texts = asText(file, number, parsed.data, template);
  return { id: id ?? `line-${number}`, ...texts, ...(metadata == null ? {} : { metadata }) };
}

function decode(file: string, number: number, bytes: Buffer): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch {
    throw invalid(file, number, '(line)', 'is not UTF-8');
  }
}

function problemOf(json: unknown, field: PropertyKey | undefined): string {
  if (typeof json !== 'object' || json === null || Array.isArray(json)) return 'is not an object';
  const value = field === undefined ? undefined : (json as Record<PropertyKey, unknown>)[field];
  if (value === undefined) return 'is missing';
  if (value === '' || (Array.isArray(value) && value.length === 0)) return 'is empty';
  switch (field) {
    case 'id':
      return 'is neither text nor a whole number';
    case 'tools':
      return 'is not a list';
    case 'metadata':
    case 'chat_template_kwargs':
      return 'is not an object';
    default:
      return 'is neither text nor a list of {"role", "content"} messages';
  }
}

type Texts = Pick<PreferencePair, 'prompt' | 'chosen' | 'rejected' | 'boundary'>;

/** A line's texts as they stand, or its messages written out. */
function asText(
  file: string,
  line: number,
  { prompt, chosen, rejected, tools, chat_template_kwargs: variables }: z.infer<typeof schema>,
  template: ChatTemplate | null | undefined,
): Texts {
  if (typeof chosen === 'string' && typeof rejected === 'string' && !Array.isArray(prompt)) {
    return { prompt: prompt ?? null, chosen, rejected };
  }
  if (typeof chosen === 'string') throw invalid(file, line, 'chosen', 'is text, where another field has messages');
  if (typeof rejected === 'string') throw invalid(file, line, 'rejected', 'is text, where another field has messages');
  if (typeof prompt === 'string') {
    throw invalid(
      file,
      line,
      'prompt',
      'is text, where chosen and rejected are messages; leave it out if they hold it',
    );
  }
  if (template == null) {
    const problem = 'is a list of messages, and the model has no chat template to turn it into text';
    throw invalid(file, line, prompt == null ? 'chosen' : 'prompt', problem);
  }
  const reserved = Object.keys(variables ?? {}).find((name) => RESERVED_VARIABLES.includes(name));
  if (reserved !== undefined) throw invalid(file, line, 'chat_template_kwargs', `may not set ${reserved}`);

  const conversations = prompt == null ? withoutSharedMessages(chosen, rejected) : { prompt, chosen, rejected };
  const fault = conversationProblem(conversations);
  if (fault !== null) throw invalid(file, line, fault.field, fault.problem);
  return rendered(
    file,
    line,
    conversations,
    { tools: tools ?? undefined, variables: variables ?? undefined },
    template,
  );
}

function rendered(
  file: string,
  line: number,
  { prompt, chosen, rejected }: Readonly<Record<'prompt' | 'chosen' | 'rejected', readonly ChatMessage[]>>,
  input: TemplateInput,
  template: ChatTemplate,
): Texts {
  try {
    const { prompt: text, answers, boundary } = template.renderPair(prompt, [chosen, rejected], input);
    return { prompt: text, chosen: answers[0]!, rejected: answers[1]!, boundary };
  } catch (error) {
    if (!isPrefmeshError(error, 'CHAT_TEMPLATE')) throw error;
    throw invalid(file, line, 'chosen', `cannot be rendered: ${error.message}`);
  }
}

function invalid(file: string, line: number, field: string, problem: string): PrefmeshError {
  return new PrefmeshError('PAIRS_INVALID', { file, line, field, problem });
}
