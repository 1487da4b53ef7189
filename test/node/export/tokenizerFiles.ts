/** Parts of tokenizer.json as the model families have them. */

const byteLevel = (useRegex: boolean) => {
  return { type: 'ByteLevel', add_prefix_space: false, trim_offsets: true, use_regex: useRegex };
};
const CONTRACTIONS = "(?i:'s|'t|'re|'ve|'m|'ll|'d)";
const REST = ' ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+';
const WORDS = '[^\\r\\n\\p{L}\\p{N}]?\\p{L}+';
const TEKKEN =
  '[^\\r\\n\\p{L}\\p{N}]?[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]*[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]+|' +
  '[^\\r\\n\\p{L}\\p{N}]?[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]+[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]*|' +
  '\\p{N}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n/]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+';

function splitting(regex: string): object {
  const split = { type: 'Split', pattern: { Regex: regex }, behavior: 'Isolated', invert: false };
  return { pre_tokenizer: { type: 'Sequence', pretokenizers: [split, byteLevel(false)] } };
}

const LLAMA3 = `${CONTRACTIONS}|${WORDS}|\\p{N}{1,3}|${REST}`;

/** Ways to split text, the name llama.cpp has for each, and what they change in a byte-level tokenizer. */
export const SPLITS: Readonly<Record<string, { gguf: string; tokenizer: object; model: object }>> = {
  'GPT-2': { gguf: 'gpt-2', tokenizer: { pre_tokenizer: byteLevel(true) }, model: {} },
  'SmolLM 2': {
    gguf: 'smollm',
    tokenizer: {
      pre_tokenizer: {
        type: 'Sequence',
        pretokenizers: [{ type: 'Digits', individual_digits: true }, byteLevel(true)],
      },
    },
    model: {},
  },
  'Qwen 2': {
    gguf: 'qwen2',
    tokenizer: { ...splitting(`${CONTRACTIONS}|${WORDS}|\\p{N}|${REST}`), normalizer: { type: 'NFC' } },
    model: {},
  },
  'Llama 3': { gguf: 'llama-bpe', tokenizer: splitting(LLAMA3), model: { ignore_merges: true } },
  'Llama 3, merging from the start': { gguf: 'smaug-bpe', tokenizer: splitting(LLAMA3), model: {} },
  'Mistral Nemo': { gguf: 'tekken', tokenizer: splitting(TEKKEN), model: { ignore_merges: true } },
};

/** A small SentencePiece-like tokenizer as Hugging Face writes Llama 2's (normalizer) or newer ones (metaspace). */
export function byteFallbackTokenizer(spaces: 'normalizer' | 'metaspace'): { tokenizer: object; settings: object } {
  const special = ['<unk>', '<s>', '</s>'];
  const bytes = Array.from({ length: 256 }, (_, byte) => `<0x${byte.toString(16).toUpperCase().padStart(2, '0')}>`);
  const letters = ['▁', 't', 'h', 'e', 'r', 'n', 'o', 'é'];
  // In the order of their scores; a merge for every way to put each together, as the converters from SentencePiece do.
  const joined = ['th', 'the', '▁the', 'er', '▁then', 'en', '▁th', '▁▁', 'ther', 'other', '▁t'];
  const known = new Set([...letters, ...joined]);
  const merges = joined.flatMap((token) => {
    return Array.from(token.slice(1)).flatMap((_, i): [string, string][] => {
      const [left, right] = [token.slice(0, i + 1), token.slice(i + 1)];
      return known.has(left) && known.has(right) ? [[left, right]] : [];
    });
  });
  const names = [...new Set([...special, ...bytes, ...joined, ...letters])];
  const added = special.map((content, id) => {
    return { id, content, single_word: false, lstrip: false, rstrip: false, normalized: false, special: true };
  });
  const replace = { type: 'Replace', pattern: { String: ' ' }, content: '▁' };
  const ruled =
    spaces === 'normalizer'
      ? {
          normalizer: { type: 'Sequence', normalizers: [{ type: 'Prepend', prepend: '▁' }, replace] },
          pre_tokenizer: null,
        }
      : {
          normalizer: null,
          pre_tokenizer: { type: 'Metaspace', replacement: '▁', prepend_scheme: 'first', split: false },
        };
  return {
    tokenizer: {
      version: '1.0',
      added_tokens: added,
      ...ruled,
      post_processor: null,
      decoder: null,
      model: {
        type: 'BPE',
        unk_token: '<unk>',
        byte_fallback: true,
        fuse_unk: true,
        ignore_merges: false,
        vocab: Object.fromEntries(names.map((name, id) => [name, id])),
        merges,
      },
    },
    settings: { bos_token: '<s>', eos_token: '</s>', unk_token: '<unk>', add_bos_token: true },
  };
}
