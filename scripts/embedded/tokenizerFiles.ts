/** The tokenizer of the embedded model in Hugging Face format: `tokenizer.json` and `tokenizer_config.json`. */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { PROMPT_END } from '../../node/preferences/tastes/questions.ts';
import type { BytePairs } from './bytePairs.ts';

export const END_TOKEN = '<|endoftext|>';

/** A message is its bare text; an assistant's turn follows `PROMPT_END` and closes with the end token. */
const CHAT_TEMPLATE =
  "{% for message in messages %}{% if message['role'] == 'assistant' %}{{ message['content'] + eos_token }}" +
  `{% else %}{{ message['content'] + '${JSON.stringify(PROMPT_END).slice(1, -1)}' }}{% endif %}{% endfor %}`;

/** Writes both files; the end token takes the id after the last token of `pairs`. */
export async function writeTokenizerFiles(folder: string, pairs: BytePairs, maxLength: number): Promise<void> {
  const end = pairs.tokens.length;
  const tokenizer = {
    version: '1.0',
    truncation: null,
    padding: null,
    added_tokens: [
      {
        id: end,
        content: END_TOKEN,
        single_word: false,
        lstrip: false,
        rstrip: false,
        normalized: false,
        special: true,
      },
    ],
    normalizer: null,
    pre_tokenizer: { type: 'ByteLevel', add_prefix_space: false, trim_offsets: true, use_regex: true },
    post_processor: null,
    decoder: { type: 'ByteLevel', add_prefix_space: true, trim_offsets: true, use_regex: true },
    model: {
      type: 'BPE',
      dropout: null,
      unk_token: null,
      continuing_subword_prefix: null,
      end_of_word_suffix: null,
      fuse_unk: false,
      byte_fallback: false,
      ignore_merges: false,
      vocab: Object.fromEntries([...pairs.tokens, END_TOKEN].map((token, id) => [token, id])),
      merges: pairs.merges,
    },
  };
  const settings = {
    tokenizer_class: 'PreTrainedTokenizerFast',
    bos_token: null,
    eos_token: END_TOKEN,
    pad_token: END_TOKEN,
    add_bos_token: false,
    clean_up_tokenization_spaces: false,
    model_max_length: maxLength,
    chat_template: CHAT_TEMPLATE,
  };
  await writeFile(join(folder, 'tokenizer.json'), `${JSON.stringify(tokenizer)}\n`);
  await writeFile(join(folder, 'tokenizer_config.json'), `${JSON.stringify(settings, null, 2)}\n`);
}
