/**
 * Preference pairs from a JSONL file: one `{"id"?, "prompt", "chosen", "rejected", "metadata"?}` a line.
 *
 * The file is read as a stream, bounded by line and in whole, and believed nothing: it must be UTF-8, every line an
 * object with the three texts, none empty, ids unique. Errors name file, line and field, and never quote the text,
 * for the text is private. Other fields are ignored, blank lines skipped. Equal answers are kept here, because they
 * can be scored; training leaves them out and counts them.
 */
import { createReadStream } from 'node:fs';
import { z } from 'zod';
import { isPrefmeshError, PrefmeshError } from '../../protocol/errors.ts';
import { LIMITS } from '../../protocol/limits.ts';
import type { ChatMessage, ChatTemplate } from '../model/chatTemplate.ts';
import { fileSize } from '../model/jsonFile.ts';
import { naming } from '../storage/atomicFile.ts';

export interface PreferencePair {
  /** From the file, or `line-N` where the line gives none. */
  readonly id: string;
  readonly prompt: string;
  readonly chosen: string;
  readonly rejected: string;
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
  prompt: text,
  chosen: text,
  rejected: text,
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
  const { id, metadata, prompt, chosen, rejected } = parsed.data;
  const texts = asText(file, number, { prompt, chosen, rejected }, template);
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
    case 'metadata':
      return 'is not an object';
    default:
      return 'is neither text nor a list of {"role", "content"} messages';
  }
}

type Texts = Pick<PreferencePair, 'prompt' | 'chosen' | 'rejected'>;

function asText(
  file: string,
  line: number,
  pair: Readonly<Record<keyof Texts, string | ChatMessage[]>>,
  template: ChatTemplate | null | undefined,
): Texts {
  const { prompt, chosen, rejected } = pair;
  const written = Object.values(pair).filter((value) => typeof value === 'string').length;
  if (written === 3) return pair as Texts;
  if (written !== 0) throw invalid(file, line, 'prompt', 'mixes text and messages with chosen and rejected');
  if (template == null) {
    throw invalid(
      file,
      line,
      'prompt',
      'is a list of messages, and the model has no chat template to turn it into text',
    );
  }
  try {
    const rendered = template.renderPair(prompt as ChatMessage[], [chosen as ChatMessage[], rejected as ChatMessage[]]);
    return { prompt: rendered.prompt, chosen: rendered.answers[0]!, rejected: rendered.answers[1]! };
  } catch (error) {
    if (!isPrefmeshError(error, 'CHAT_TEMPLATE')) throw error;
    throw invalid(file, line, 'prompt', `cannot be rendered: ${error.message}`);
  }
}

function invalid(file: string, line: number, field: string, problem: string): PrefmeshError {
  return new PrefmeshError('PAIRS_INVALID', { file, line, field, problem });
}
