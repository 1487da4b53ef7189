/**
 * Text to token ids and back, by a model's own `tokenizer.json`.
 *
 * A thin layer over `@huggingface/tokenizers` that settles what implementations disagree on: which token ends an
 * answer, whether text begins with a BOS (and never with two), and that an id without an embedding is an error.
 */
import { Tokenizer as HuggingFaceTokenizer } from '@huggingface/tokenizers';
import { join } from 'node:path';
import { z } from 'zod';
import { PrefmeshError } from '../../protocol/errors.ts';
import { readJsonFile } from './jsonFile.ts';

const tokenName = z.union([z.string(), z.looseObject({ content: z.string() }).transform((token) => token.content)]);
const tokenIds = z.union([z.int(), z.array(z.int())]);

const settingsSchema = z.looseObject({
  bos_token: tokenName.nullish(),
  eos_token: tokenName.nullish(),
  add_bos_token: z.boolean().nullish(),
  chat_template: z.unknown().optional(),
});
const modelSchema = z.looseObject({
  bos_token_id: tokenIds.nullish(),
  eos_token_id: tokenIds.nullish(),
  vocab_size: z.int().positive().optional(),
});

export interface EncodeOptions {
  /** Whether the text starts a sequence, so that a BOS is put before it if this model wants one. Default true. */
  readonly addSpecialTokens?: boolean;
}

export class Tokenizer {
  /** Token count of the tokenizer; a model's embedding may be padded beyond it. */
  readonly vocabSize: number;
  /** The token that ends an answer, or null where the model has none. */
  readonly eosTokenId: number | null;
  readonly bosTokenId: number | null;
  /** Whether a sequence of this model begins with the BOS. */
  readonly addsBos: boolean;
  /** The template of `tokenizer_config.json`; of several, the one named `default`. */
  readonly configTemplate: string | null;

  readonly #inner: HuggingFaceTokenizer;
  readonly #file: string;
  readonly #embeddings: number;
  readonly #special: ReadonlySet<number>;

  /**
   * Reads `tokenizer.json`, `tokenizer_config.json` and the token ids of `config.json`.
   *
   * @throws TOKENIZER_INVALID, MODEL_NOT_FOUND
   */
  static async open(folder: string): Promise<Tokenizer> {
    const file = join(folder, 'tokenizer.json');
    const tokenizer = await readJson(file);
    if (tokenizer === undefined) {
      throw new PrefmeshError('MODEL_NOT_FOUND', { model: folder, problem: 'the folder has no tokenizer.json' });
    }
    const settingsFile = join(folder, 'tokenizer_config.json');
    const modelFile = join(folder, 'config.json');
    const settings = parse(settingsSchema, (await readJson(settingsFile)) ?? {}, settingsFile);
    const model = parse(modelSchema, (await readJson(modelFile)) ?? {}, modelFile);
    return new Tokenizer(file, tokenizer, settings, model);
  }

  private constructor(
    file: string,
    tokenizer: unknown,
    settings: z.infer<typeof settingsSchema>,
    model: z.infer<typeof modelSchema>,
  ) {
    this.#file = file;
    try {
      this.#inner = new HuggingFaceTokenizer(tokenizer as object, settings);
    } catch (cause) {
      throw invalid(file, `cannot be used: ${cause instanceof Error ? cause.message : String(cause)}`, cause);
    }
    this.vocabSize = this.#inner.get_vocab().size;
    this.#embeddings = model.vocab_size ?? this.vocabSize;
    this.eosTokenId = this.#specialId(settings.eos_token, model.eos_token_id);
    this.bosTokenId = this.#specialId(settings.bos_token, model.bos_token_id);
    this.addsBos = this.bosTokenId !== null && (settings.add_bos_token ?? this.#templateStartsWith(this.bosTokenId));
    this.configTemplate = templateOf(settings.chat_template);
    this.#special = new Set(specialTokens(tokenizer));
  }

  /** Token ids of a text. A special token written out in the text becomes that token, as in Hugging Face. */
  encode(text: string, { addSpecialTokens = true }: EncodeOptions = {}): number[] {
    const ids: (number | undefined)[] = text === '' ? [] : this.#inner.encode(text, { add_special_tokens: false }).ids;
    for (const id of ids) {
      if (id === undefined) throw invalid(this.#file, 'has no token for a part of the text, and no unknown token');
      if (id >= this.#embeddings) throw invalid(this.#file, `gives token ${id}, the model has ${this.#embeddings}`);
    }
    if (addSpecialTokens && this.addsBos && ids[0] !== this.bosTokenId) ids.unshift(this.bosTokenId!);
    return ids as number[];
  }

  /** The text of token ids, special tokens left out. */
  decode(ids: readonly number[], { skipSpecialTokens = true }: { readonly skipSpecialTokens?: boolean } = {}): string {
    if (ids.length === 0) return '';
    return this.#inner.decode([...ids], {
      skip_special_tokens: skipSpecialTokens,
      clean_up_tokenization_spaces: false,
    });
  }

  /** The id of a token by its exact text, or null. */
  tokenId(token: string): number | null {
    return this.#inner.token_to_id(token) ?? null;
  }

  /** Whether a token is one of the tokenizer's special ones, which stand for structure and not for text. */
  isSpecial(id: number): boolean {
    return this.#special.has(id);
  }

  /** tokenizer_config.json names the token that fits the chat template; config.json is asked only if it is silent. */
  #specialId(name: string | null | undefined, fallback: number | number[] | null | undefined): number | null {
    if (name == null) return (Array.isArray(fallback) ? fallback[0] : fallback) ?? null;
    const id = this.tokenId(name);
    if (id === null) throw invalid(this.#file, `lacks the special token ${name}`);
    return id;
  }

  #templateStartsWith(bos: number): boolean {
    return this.#inner.encode('a', { add_special_tokens: true }).ids[0] === bos;
  }
}

const namedTemplates = z.array(z.looseObject({ name: z.string(), template: z.string() }));

/** A template is a string, or a list of named ones. */
function templateOf(setting: unknown): string | null {
  if (typeof setting === 'string') return setting;
  const named = namedTemplates.safeParse(setting);
  return named.data?.find(({ name }) => name === 'default')?.template ?? null;
}

const addedTokens = z.looseObject({
  added_tokens: z.array(z.looseObject({ id: z.int(), special: z.boolean().nullish() })).nullish(),
});

function specialTokens(tokenizer: unknown): number[] {
  const { added_tokens: added } = addedTokens.safeParse(tokenizer).data ?? {};
  return (added ?? []).flatMap(({ id, special }) => (special === true ? [id] : []));
}

async function readJson(file: string): Promise<unknown> {
  const read = await readJsonFile(file, (problem, cause) => invalid(file, problem, cause));
  return read.found ? read.json : undefined;
}

function parse<T>(schema: z.ZodType<T>, json: unknown, file: string): T {
  const parsed = schema.safeParse(json);
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0];
  throw invalid(file, `field ${issue?.path.join('.') || '(root)'}: ${issue?.message ?? 'is invalid'}`);
}

function invalid(file: string, problem: string, cause?: unknown): PrefmeshError {
  return new PrefmeshError('TOKENIZER_INVALID', { file, problem }, { cause });
}
