import assert from 'node:assert/strict';
import { cp, mkdtempDisposable, readFile, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Tokenizer } from '../../../node/model/tokenizer.ts';
import { distinguishable, encodeCompletion, tokenizePairs } from '../../../node/training/tokenization.ts';

const tokenizer = await Tokenizer.open('test/oracle/llama/model');
const END = 256;
const bytes = (text: string) => [...Buffer.from(text)];
const pair = { id: 'a', prompt: 'Ask? ', chosen: 'Yes', rejected: 'Maybe not' };

/** The oracle's tokenizer with other files. */
async function changed(name: string, change: (json: Record<string, unknown>) => void): Promise<Tokenizer> {
  await using folder = await mkdtempDisposable(join(tmpdir(), 'prefmesh-tokenization-'));
  await cp('test/oracle/llama/model', folder.path, { recursive: true });
  const file = join(folder.path, name);
  const json = JSON.parse(await readFile(file, 'utf8')) as Record<string, unknown>;
  change(json);
  await writeFile(file, JSON.stringify(json));
  return await Tokenizer.open(folder.path);
}

describe('tokenisation of pairs', () => {
  it('ends both completions with the end token and starts nothing with a BOS the model lacks', () => {
    const { pairs, dropped, cut } = tokenizePairs(tokenizer, [pair], { maxLength: 100 });
    assert.deepEqual(pairs, [
      { id: 'a', prompt: bytes('Ask? '), chosen: [...bytes('Yes'), END], rejected: [...bytes('Maybe not'), END] },
    ]);
    assert.deepEqual([dropped, cut], [[], []]);
  });

  it('never merges over the boundary between prompt and completion', async () => {
    const merging = await changed('tokenizer.json', (json) => {
      const model = json.model as { vocab: Record<string, number>; merges: string[] };
      model.vocab.ab = 257;
      model.merges = ['a b'];
    });
    assert.deepEqual(merging.encode('ab'), [257]);
    const [read] = tokenizePairs(merging, [{ ...pair, prompt: 'xa', chosen: 'b', rejected: 'ab' }], {
      maxLength: 9,
    }).pairs;
    assert.deepEqual(read, { id: 'a', prompt: bytes('xa'), chosen: [...bytes('b'), END], rejected: [257, END] });
  });

  it('does not double an end token that the text already has', () => {
    assert.deepEqual(encodeCompletion(tokenizer, 'Yes<|endoftext|>'), [...bytes('Yes'), END]);
  });

  it('puts the BOS, where the model uses one, before the prompt only', async () => {
    const withBos = await changed('tokenizer_config.json', (json) => {
      json.bos_token = '<|endoftext|>';
      json.add_bos_token = true;
    });
    const [read] = tokenizePairs(withBos, [pair], { maxLength: 100 }).pairs;
    assert.deepEqual(read!.prompt, [END, ...bytes('Ask? ')]);
    assert.deepEqual(read!.chosen, [...bytes('Yes'), END]);
  });

  it('cuts a completion at its end, without an end token then, and counts it', () => {
    const { pairs, dropped, cut } = tokenizePairs(tokenizer, [pair], { maxLength: 9 });
    assert.deepEqual(pairs[0], {
      id: 'a',
      prompt: bytes('Ask? '),
      chosen: [...bytes('Yes'), END],
      rejected: bytes('Mayb'),
    });
    assert.deepEqual([dropped, cut], [[], ['a']]);
  });

  it('leaves out a pair whose prompt leaves no room, and counts it', () => {
    const other = { ...pair, id: 'b', prompt: 'Hm?' };
    const { pairs, dropped } = tokenizePairs(tokenizer, [pair, other], { maxLength: 5 });
    assert.deepEqual(
      pairs.map(({ id }) => id),
      ['b'],
    );
    assert.deepEqual(dropped, ['a']);
  });

  it('refuses a model without an end token', async () => {
    const endless = await changed('config.json', (json) => delete json.eos_token_id);
    const nameless = await changed('tokenizer_config.json', (json) => delete json.eos_token);
    assert.equal(endless.eosTokenId, END, 'the tokenizer still names one');
    assert.equal(nameless.eosTokenId, END, 'the model still names one');
    const neither = Object.assign(Object.create(endless) as Tokenizer, { eosTokenId: null });
    assert.throws(() => encodeCompletion(neither, 'Yes'), { code: 'TOKENIZER_INVALID' });
  });

  it('tells pairs apart that teach something from those that cannot', () => {
    const { pairs } = tokenizePairs(tokenizer, [pair, { ...pair, id: 'same', rejected: 'Yes' }], { maxLength: 100 });
    assert.deepEqual(
      distinguishable(pairs).map(({ id }) => id),
      ['a'],
    );
  });
});
