import assert from 'node:assert/strict';
import { cp, mkdtempDisposable, readFile, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Tokenizer } from '../../../node/model/tokenizer.ts';

interface TokenizerJson {
  added_tokens: object[];
  post_processor: object | null;
}

/** The byte-level tokenizer of the oracle with a BOS (257), and changed settings. */
async function openWith(
  settings: object,
  change: (tokenizer: TokenizerJson) => void = () => {},
  model: object = {},
): Promise<Tokenizer> {
  await using folder = await mkdtempDisposable(join(tmpdir(), 'prefmesh-tokenizer-'));
  await cp('test/oracle/llama/model', folder.path, { recursive: true });
  const read = async (name: string) => JSON.parse(await readFile(join(folder.path, name), 'utf8')) as object;
  const tokenizer = (await read('tokenizer.json')) as TokenizerJson;
  tokenizer.added_tokens.push({ id: 257, content: '<s>', special: true, normalized: false });
  change(tokenizer);
  await writeFile(join(folder.path, 'tokenizer.json'), JSON.stringify(tokenizer));
  await writeFile(join(folder.path, 'tokenizer_config.json'), JSON.stringify(settings));
  await writeFile(join(folder.path, 'config.json'), JSON.stringify({ ...(await read('config.json')), ...model }));
  return await Tokenizer.open(folder.path);
}

const bosTemplate = (tokenizer: TokenizerJson) => {
  tokenizer.post_processor = {
    type: 'TemplateProcessing',
    single: [{ SpecialToken: { id: '<s>', type_id: 0 } }, { Sequence: { id: 'A', type_id: 0 } }],
    pair: [],
    special_tokens: { '<s>': { id: '<s>', ids: [257], tokens: ['<s>'] } },
  };
};

describe('tokenizer', () => {
  it('turns text into ids and back', async () => {
    const tokenizer = await Tokenizer.open('test/oracle/llama/model');
    const text = 'Was ist Retrieval? – 日本語\n';
    const ids = tokenizer.encode(text);
    assert.deepEqual(ids, [...Buffer.from(text)]);
    assert.equal(tokenizer.decode(ids), text);
    assert.deepEqual(tokenizer.encode(''), []);
    assert.equal(tokenizer.decode([]), '');
  });

  it('leaves special tokens out of decoded text unless asked', async () => {
    const tokenizer = await Tokenizer.open('test/oracle/llama/model');
    assert.equal(tokenizer.decode([104, 105, 256]), 'hi');
    assert.equal(tokenizer.decode([104, 105, 256], { skipSpecialTokens: false }), 'hi<|endoftext|>');
  });

  it('keeps spaces before punctuation when decoding', async () => {
    const tokenizer = await openWith({});
    assert.equal(tokenizer.decode(tokenizer.encode("a , b . do n't")), "a , b . do n't");
  });

  it('takes the end token from tokenizer_config.json, else from config.json', async () => {
    assert.equal((await openWith({ eos_token: '<s>' })).eosTokenId, 257);
    assert.equal((await openWith({ eos_token: { content: '<s>', lstrip: false } })).eosTokenId, 257);
    assert.equal((await openWith({})).eosTokenId, 256);
    assert.equal((await openWith({}, undefined, { eos_token_id: [257, 256] })).eosTokenId, 257);
    assert.equal((await openWith({}, undefined, { eos_token_id: null })).eosTokenId, null);
  });

  it('puts a BOS before text only if the model wants one', async () => {
    const a = 'a'.charCodeAt(0);
    assert.deepEqual((await Tokenizer.open('test/oracle/qwen2/model')).encode('a'), [a]);
    assert.deepEqual((await openWith({ bos_token: '<s>' })).encode('a'), [a], 'a BOS that exists is not yet used');
    assert.deepEqual((await openWith({ bos_token: '<s>', add_bos_token: true })).encode('a'), [257, a]);
    assert.deepEqual((await openWith({ bos_token: '<s>' }, bosTemplate)).encode('a'), [257, a]);
    assert.deepEqual((await openWith({ bos_token: '<s>', add_bos_token: false }, bosTemplate)).encode('a'), [a]);
  });

  it('never doubles the BOS', async () => {
    const tokenizer = await openWith({ bos_token: '<s>', add_bos_token: true }, bosTemplate);
    assert.deepEqual(tokenizer.encode('<s>a'), [257, 'a'.charCodeAt(0)]);
  });

  it('puts no BOS before text that does not start a sequence', async () => {
    const tokenizer = await openWith({ bos_token: '<s>', add_bos_token: true }, bosTemplate);
    assert.deepEqual(tokenizer.encode('a', { addSpecialTokens: false }), ['a'.charCodeAt(0)]);
  });

  it('refuses a token that the model has no embedding for', async () => {
    const tokenizer = await openWith({}, undefined, { vocab_size: 100 });
    assert.deepEqual(tokenizer.encode('abc'), [97, 98, 99]);
    assert.throws(() => tokenizer.encode('xyz'), { code: 'TOKENIZER_INVALID' });
  });

  it('refuses settings that name a token the vocabulary lacks', async () => {
    await assert.rejects(openWith({ eos_token: '<nope>' }), { code: 'TOKENIZER_INVALID' });
  });

  it('refuses files that are missing or damaged', async () => {
    await using folder = await mkdtempDisposable(join(tmpdir(), 'prefmesh-tokenizer-'));
    await assert.rejects(Tokenizer.open(folder.path), { code: 'MODEL_NOT_FOUND' });
    await writeFile(join(folder.path, 'tokenizer.json'), '{"model":');
    await assert.rejects(Tokenizer.open(folder.path), { code: 'TOKENIZER_INVALID' });
    await writeFile(join(folder.path, 'tokenizer.json'), '{"model":{}}');
    await assert.rejects(Tokenizer.open(folder.path), { code: 'TOKENIZER_INVALID' });
  });
});
