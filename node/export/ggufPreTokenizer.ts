/**
 * How a byte-level tokenizer splits text before it merges, as the name by which llama.cpp knows that rule.
 *
 * llama.cpp has the rules compiled in, and a file only names one; the wrong name gives other tokens without a word. So
 * the rule is recognised by what `tokenizer.json` says, never guessed from a model's name, and an unknown one is
 * refused. Source: llama.cpp (`llama-vocab.cpp`).
 */
import { z } from 'zod';

const byteLevel = z.looseObject({
  type: z.literal('ByteLevel'),
  add_prefix_space: z.literal(false),
  use_regex: z.boolean().default(true),
});
const digits = z.looseObject({ type: z.literal('Digits'), individual_digits: z.literal(true) });
const split = z.looseObject({
  type: z.literal('Split'),
  pattern: z.looseObject({ Regex: z.string() }),
  behavior: z.literal('Isolated'),
  invert: z.literal(false).default(false),
});
const steps = z.union([
  byteLevel.transform((step) => [step]),
  z
    .looseObject({ type: z.literal('Sequence'), pretokenizers: z.array(z.union([byteLevel, digits, split])) })
    .transform(({ pretokenizers }) => pretokenizers),
]);

/** The splits that llama.cpp knows by name, where the tokenizer tries a whole word in the vocabulary before merging, */
const WHOLE_WORDS_FIRST = new Map([
  [
    "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+",
    'llama-bpe',
  ],
  [
    '[^\\r\\n\\p{L}\\p{N}]?[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]*[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]+|[^\\r\\n\\p{L}\\p{N}]?[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]+[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]*|\\p{N}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n/]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+',
    'tekken',
  ],
]);

/** and where it merges from the start. */
const MERGES_ONLY = new Map([
  [
    "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+",
    'qwen2',
  ],
  // The split of Llama 3 again, for tokenizers that took it over without `ignore_merges`.
  [[...WHOLE_WORDS_FIRST.keys()][0]!, 'smaug-bpe'],
]);

export interface SplittingRule {
  /** `pre_tokenizer` of tokenizer.json, as parsed JSON. */
  readonly preTokenizer: unknown;
  /** `model.ignore_merges`. */
  readonly ignoreMerges: boolean;
  readonly mergeCount: number;
}

/** The name, or undefined where llama.cpp has none. */
export function ggufPreTokenizer({ preTokenizer, ignoreMerges, mergeCount }: SplittingRule): string | undefined {
  const parsed = steps.safeParse(preTokenizer);
  if (!parsed.success) return undefined;
  // Without merges, every split gives the same bytes.
  if (mergeCount === 0 && !ignoreMerges) return 'gpt-2';
  const [first, second, ...more] = parsed.data;
  if (first === undefined || more.length > 0) return undefined;
  if (second === undefined) return first.type === 'ByteLevel' && first.use_regex && !ignoreMerges ? 'gpt-2' : undefined;
  if (second.type !== 'ByteLevel') return undefined;
  if (first.type === 'Digits') return second.use_regex && !ignoreMerges ? 'smollm' : undefined;
  if (first.type !== 'Split' || second.use_regex) return undefined;
  return (ignoreMerges ? WHOLE_WORDS_FIRST : MERGES_ONLY).get(first.pattern.Regex);
}
