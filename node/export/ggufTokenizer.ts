/**
 * A Hugging Face tokenizer as the header keys of a GGUF file.
 *
 * Two kinds are known to llama.cpp that the model families here use: `gpt2`, byte-level with merges, and `llama`,
 * SentencePiece with a byte token for what is not in the vocabulary. Source: llama.cpp (`llama-vocab.cpp`).
 */
import { join } from 'node:path';
import { z } from 'zod';
import { PrefmeshError } from '../../protocol/errors.ts';
import type { ModelConfig } from '../model/config.ts';
import { readJsonFile } from '../model/jsonFile.ts';
import type { Tokenizer } from '../model/tokenizer.ts';
import type { GgufMetadata, GgufValue } from './ggufFile.ts';
import { ggufPreTokenizer } from './ggufPreTokenizer.ts';

const TOKEN_TYPES = { normal: 1, unknown: 2, control: 3, userDefined: 4, unused: 5, byte: 6 } as const;

const addedToken = z.looseObject({ id: z.int().nonnegative(), content: z.string(), special: z.boolean() });
const fileSchema = z.looseObject({
  added_tokens: z.array(addedToken).default([]),
  normalizer: z.looseObject({ type: z.string() }).nullish(),
  pre_tokenizer: z.unknown(),
  model: z.looseObject({
    type: z.literal('BPE'),
    vocab: z.record(z.string(), z.int().nonnegative()),
    merges: z.array(z.union([z.string(), z.tuple([z.string(), z.string()])])).default([]),
    byte_fallback: z.boolean().nullish(),
    ignore_merges: z.boolean().nullish(),
    unk_token: z.string().nullish(),
    continuing_subword_prefix: z.union([z.null(), z.literal('')]).optional(),
    end_of_word_suffix: z.union([z.null(), z.literal('')]).optional(),
  }),
});
type TokenizerFile = z.infer<typeof fileSchema>;

/**
 * The `tokenizer.ggml` keys of a model folder, one token for each row of the embedding.
 *
 * @throws TOKENIZER_INVALID, EXPORT_UNSUPPORTED
 */
export async function ggufTokenizer(
  folder: string,
  tokenizer: Tokenizer,
  { vocabSize, eosTokenIds }: ModelConfig,
): Promise<GgufMetadata> {
  const file = join(folder, 'tokenizer.json');
  const parsed = await readFile(file);
  if (tokenizer.eosTokenId === null) throw unsupported(file, 'it has no end token, and llama.cpp would take token 11');
  const kind = parsed.model.byte_fallback === true ? sentencePiece(parsed, file) : byteLevel(parsed, file);
  const { tokens, types } = vocabularyOf(parsed, vocabSize, file);
  const ids = {
    eos_token_id: tokenizer.eosTokenId,
    bos_token_id: tokenizer.bosTokenId,
    // A second end token, such as the end of a text beside the end of a turn.
    eot_token_id: eosTokenIds.find((id) => id !== tokenizer.eosTokenId),
    unknown_token_id: tokenizer.tokenId(parsed.model.unk_token ?? ''),
  };
  const keys: Record<string, GgufValue> = {
    ...kind,
    tokens: { kind: 'strings', value: tokens },
    token_type: { kind: 'int32s', value: types },
    add_bos_token: { kind: 'bool', value: tokenizer.addsBos },
    add_eos_token: { kind: 'bool', value: false },
  };
  if (parsed.model.byte_fallback === true) keys.scores = { kind: 'float32s', value: scoresOf(parsed, tokens, file) };
  for (const [key, id] of Object.entries(ids)) if (id != null) keys[key] = { kind: 'uint32', value: id };
  return Object.fromEntries(Object.entries(keys).map(([key, value]) => [`tokenizer.ggml.${key}`, value]));
}

async function readFile(file: string): Promise<TokenizerFile> {
  const invalid = (problem: string, cause?: unknown) =>
    new PrefmeshError('TOKENIZER_INVALID', { file, problem }, { cause });
  const read = await readJsonFile(file, invalid);
  const parsed = fileSchema.safeParse(read.found ? read.json : undefined);
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0];
  throw unsupported(file, `field ${issue?.path.join('.') || '(root)'}: ${issue?.message ?? 'is not as expected'}`);
}

function byteLevel({ model, normalizer, pre_tokenizer: preTokenizer }: TokenizerFile, file: string) {
  // Text is nearly always in composed form already, which is what NFC makes; llama.cpp takes it as it comes.
  if (normalizer != null && normalizer.type !== 'NFC') throw unsupported(file, `its normalizer is ${normalizer.type}`);
  const merges = mergesOf(model);
  const ignoreMerges = model.ignore_merges ?? false;
  const pre = ggufPreTokenizer({ preTokenizer, ignoreMerges, mergeCount: merges.length });
  if (pre === undefined)
    throw unsupported(file, 'its pre_tokenizer splits text by a rule that llama.cpp has no name for');
  return {
    model: { kind: 'string', value: 'gpt2' },
    pre: { kind: 'string', value: pre },
    merges: { kind: 'strings', value: merges.map(([left, right]) => `${left} ${right}`) },
  } satisfies Record<string, GgufValue>;
}

/** SentencePiece has no splitting rule; what matters is whether text begins with a space. */
function sentencePiece({ normalizer, pre_tokenizer: preTokenizer }: TokenizerFile, file: string) {
  const prepending = z.looseObject({ type: z.literal('Prepend'), prepend: z.literal('▁') });
  const replacing = z.looseObject({
    type: z.literal('Replace'),
    pattern: z.looseObject({ String: z.literal(' ') }),
    content: z.literal('▁'),
  });
  const spaces = z.looseObject({
    type: z.literal('Metaspace'),
    replacement: z.literal('▁'),
    prepend_scheme: z.enum(['always', 'first', 'never']).default('always'),
  });
  const sequence = z.looseObject({
    type: z.literal('Sequence'),
    normalizers: z.array(z.union([prepending, replacing])),
  });
  const rules = [normalizer ?? null, preTokenizer ?? null];
  const [byNormalizer, byPreTokenizer] = [sequence.safeParse(rules[0]), spaces.safeParse(rules[1])];
  const prefixed = (() => {
    if (byNormalizer.success && rules[1] === null) {
      return byNormalizer.data.normalizers.some(({ type }) => type === 'Prepend');
    }
    if (byPreTokenizer.success && rules[0] === null) return byPreTokenizer.data.prepend_scheme !== 'never';
    throw unsupported(file, 'it treats spaces by a rule that llama.cpp has no name for');
  })();
  return {
    model: { kind: 'string', value: 'llama' },
    pre: { kind: 'string', value: 'default' },
    add_space_prefix: { kind: 'bool', value: prefixed },
  } satisfies Record<string, GgufValue>;
}

/** The text and type of every row of the embedding; rows without a token are marked unused. */
function vocabularyOf({ added_tokens: added, model }: TokenizerFile, vocabSize: number, file: string) {
  const tokens = Array.from({ length: vocabSize }, (_, id) => `[PAD${id}]`);
  const types: number[] = tokens.map(() => TOKEN_TYPES.unused);
  const put = (id: number, text: string, type: number) => {
    if (id >= vocabSize) throw unsupported(file, `token ${id} has no row in the embedding of ${vocabSize}`);
    tokens[id] = text;
    types[id] = type;
  };
  for (const [text, id] of Object.entries(model.vocab)) {
    const isByte = model.byte_fallback === true && /^<0x[0-9A-F]{2}>$/.test(text);
    put(id, text, isByte ? TOKEN_TYPES.byte : TOKEN_TYPES.normal);
  }
  for (const { id, content, special } of added) {
    put(id, special ? content : content.replaceAll('▁', ' '), special ? TOKEN_TYPES.control : TOKEN_TYPES.userDefined);
  }
  const unknown = model.unk_token == null ? undefined : model.vocab[model.unk_token];
  if (unknown !== undefined) types[unknown] = TOKEN_TYPES.unknown;
  // llama.cpp ends the process when a text stands for two tokens.
  if (new Set(tokens).size !== tokens.length) throw unsupported(file, 'two of its tokens have the same text');
  return { tokens, types };
}

/**
 * llama.cpp merges the two neighbours whose whole has the highest score, so a token scores by the rank of its first
 * merge. It knows no merges, only tokens: a pair that makes a token is merged there even if no merge says so here.
 */
function scoresOf({ model, added_tokens: added }: TokenizerFile, tokens: readonly string[], file: string): number[] {
  const ranks = new Map<string, number>();
  const pairs = new Set<string>();
  for (const [rank, [left, right]] of mergesOf(model).entries()) {
    const whole = left + right;
    if (!ranks.has(whole)) ranks.set(whole, rank);
    pairs.add(`${left} ${right}`);
  }
  const special = new Set(added.map(({ content }) => content));
  const plain = new Set(Object.keys(model.vocab).filter((text) => !special.has(text) && !/^<0x..>$/.test(text)));
  for (const text of plain) {
    for (let i = 1; i < text.length; i++) {
      const [left, right] = [text.slice(0, i), text.slice(i)];
      if (plain.has(left) && plain.has(right) && !pairs.has(`${left} ${right}`)) {
        throw unsupported(file, 'its merges are not all those of its tokens, so llama.cpp would merge more');
      }
    }
  }
  return tokens.map((token) => -(ranks.get(token) ?? ranks.size));
}

/** Merges as pairs; older files have both parts in one text. */
function mergesOf({ merges }: TokenizerFile['model']): (readonly [string, string])[] {
  return merges.map((merge) => {
    if (typeof merge !== 'string') return merge;
    const space = merge.indexOf(' ');
    return [merge.slice(0, space), merge.slice(space + 1)] as const;
  });
}

function unsupported(source: string, problem: string): PrefmeshError {
  return new PrefmeshError('EXPORT_UNSUPPORTED', {
    source,
    format: 'GGUF',
    problem,
    hint: "convert the base with llama.cpp's own converter; the adapter can still be exported",
  });
}
