import assert from 'node:assert/strict';
import { cp, mkdtempDisposable, readFile, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ggufPreTokenizer } from '../../../node/export/ggufPreTokenizer.ts';
import { ggufTokenizer } from '../../../node/export/ggufTokenizer.ts';
import { openCheckpoint } from '../../../node/model/checkpoint.ts';
import { Tokenizer } from '../../../node/model/tokenizer.ts';
import { byteFallbackTokenizer, SPLITS } from './tokenizerFiles.ts';

const llama = await openCheckpoint('test/oracle/llama/model');

/** The keys for the oracle's model with another tokenizer.json, its parts changed. */
async function keysOf(tokenizer: object, { settings, vocabSize }: { settings?: object; vocabSize?: number } = {}) {
  await using folder = await mkdtempDisposable(join(tmpdir(), 'prefmesh-tokenizer-'));
  await cp(llama.folder, folder.path, { recursive: true });
  const file = join(folder.path, 'tokenizer.json');
  const json = JSON.parse(await readFile(file, 'utf8')) as object;
  await writeFile(file, JSON.stringify({ ...json, ...tokenizer }));
  if (settings !== undefined) await writeFile(join(folder.path, 'tokenizer_config.json'), JSON.stringify(settings));
  const config = vocabSize === undefined ? llama.config : { ...llama.config, vocabSize };
  const keys = await ggufTokenizer(folder.path, await Tokenizer.open(folder.path), config);
  return (key: string) => keys[`tokenizer.ggml.${key}`]?.value;
}

const refused = (problem: RegExp) => (error: { code: string; message: string }) => {
  assert.equal(error.code, 'EXPORT_UNSUPPORTED');
  assert.match(error.message, problem);
  return true;
};

describe('tokenizer as GGUF keys', () => {
  it('gives every row of the embedding a token, those without one marked unused', async () => {
    const value = await keysOf({});
    const [tokens, types] = [value('tokens') as string[], value('token_type') as number[]];
    assert.deepEqual([tokens.length, types.length], [264, 264]);
    assert.deepEqual(tokens.slice(255, 259), ['ÿ', '<|endoftext|>', '[PAD257]', '[PAD258]']);
    assert.deepEqual(types.slice(255, 259), [1, 3, 5, 5]);
    assert.deepEqual([value('model'), value('pre'), value('merges')], ['gpt2', 'gpt-2', []]);
    assert.deepEqual([value('eos_token_id'), value('bos_token_id'), value('add_bos_token')], [256, undefined, false]);
  });

  it('scores SentencePiece tokens by their merges', async () => {
    const { tokenizer, settings } = byteFallbackTokenizer('normalizer');
    const value = await keysOf(tokenizer, { settings, vocabSize: 300 });
    const [tokens, types] = [value('tokens') as string[], value('token_type') as number[]];
    const scoreOf = (token: string) => (value('scores') as number[])[tokens.indexOf(token)]!;
    assert.ok(scoreOf('th') > scoreOf('the') && scoreOf('the') > scoreOf('other'));
    assert.deepEqual([types[0], types[1], types[tokens.indexOf('<0x41>')], types[tokens.indexOf('the')]], [2, 3, 6, 1]);
    const ids = ['bos_token_id', 'eos_token_id', 'unknown_token_id', 'add_bos_token', 'add_space_prefix'].map(value);
    assert.deepEqual(ids, [1, 2, 0, true, true]);
  });

  for (const [name, { gguf, tokenizer, model }] of Object.entries(SPLITS)) {
    it(`names the split of ${name} as llama.cpp does`, () => {
      const { pre_tokenizer: preTokenizer } = tokenizer as { pre_tokenizer: unknown };
      const { ignore_merges: ignoreMerges = false } = model as { ignore_merges?: boolean };
      assert.equal(ggufPreTokenizer({ preTokenizer, ignoreMerges, mergeCount: 9 }), gguf);
    });
  }

  it('is refused where llama.cpp would give other tokens', async () => {
    const { model } = JSON.parse(await readFile(join(llama.folder, 'tokenizer.json'), 'utf8')) as {
      model: { vocab: object };
    };
    const merging = { model: { ...model, merges: ['a b'], vocab: { ...model.vocab, ab: 257 } } };
    const unsplit = { type: 'ByteLevel', add_prefix_space: false, use_regex: false };
    await assert.rejects(keysOf({ ...merging, pre_tokenizer: unsplit }), refused(/splits text by a rule/));
    await assert.rejects(keysOf({ normalizer: { type: 'Lowercase' } }), refused(/normalizer is Lowercase/));
    await assert.rejects(keysOf({}, { vocabSize: 200 }), refused(/no row in the embedding/));
    const settings = { bos_token: null };
    await assert.rejects(keysOf({}, { settings: { ...settings, eos_token: 'a' }, vocabSize: 256 }), refused(/no row/));
    const { tokenizer, settings: own } = byteFallbackTokenizer('normalizer');
    const open = { ...tokenizer, model: { ...(tokenizer as { model: object }).model, merges: ['t h', 'th er'] } };
    await assert.rejects(keysOf(open, { settings: own, vocabSize: 300 }), refused(/merges are not all/));
    const unigram = { model: { type: 'WordPiece', vocab: { a: 0 }, unk_token: 'a' } };
    await assert.rejects(keysOf(unigram), { code: /EXPORT_UNSUPPORTED|TOKENIZER_INVALID/ });
  });
});
