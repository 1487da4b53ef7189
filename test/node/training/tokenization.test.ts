import assert from 'node:assert/strict';
import { cp, mkdtempDisposable, readFile, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Tokenizer } from '../../../node/model/tokenizer.ts';
import { distinguishable, tokenizePairs } from '../../../node/training/tokenization.ts';

const tokenizer = await Tokenizer.open('test/oracle/llama/model');
const END = 256;
const bytes = (text: string) => [...Buffer.from(text)];
const pair = { id: 'a', prompt: 'Ask? ', chosen: 'Yes', rejected: 'Maybe not' };

type Change = (json: Record<string, unknown>) => void;

/** The oracle's tokenizer with one file changed, or several. */
async function changed(...changes: (string | Change)[]): Promise<Tokenizer> {
  await using folder = await mkdtempDisposable(join(tmpdir(), 'prefmesh-tokenization-'));
  await cp('test/oracle/llama/model', folder.path, { recursive: true });
  for (let i = 0; i < changes.length; i += 2) {
    const file = join(folder.path, changes[i] as string);
    const json = JSON.parse(await readFile(file, 'utf8')) as Record<string, unknown>;
    (changes[i + 1] as Change)(json);
    await writeFile(file, JSON.stringify(json));
  }
  return await Tokenizer.open(folder.path);
}

describe('tokenisation of pairs', () => {
  it('ends both completions with the end token and starts nothing with a BOS the model lacks', () => {
    const { pairs, dropped, cut, apart } = tokenizePairs(tokenizer, [pair], { maxLength: 100 });
    assert.deepEqual(pairs, [
      { id: 'a', prompt: bytes('Ask? '), chosen: [...bytes('Yes'), END], rejected: [...bytes('Maybe not'), END] },
    ]);
    assert.deepEqual([dropped, cut, apart], [[], [], []]);
  });

  it('never merges over the boundary between prompt and completion, and counts where it would have', async () => {
    const merging = await changed('tokenizer.json', (json) => {
      const model = json.model as { vocab: Record<string, number>; merges: string[] };
      model.vocab.ab = 257;
      model.merges = ['a b'];
    });
    assert.deepEqual(merging.encode('ab'), [257]);
    const given = [
      { ...pair, prompt: 'xa', chosen: 'b', rejected: 'ab' },
      { ...pair, id: 'clear', prompt: 'x', chosen: 'b', rejected: 'ab' },
    ];
    const { pairs, apart, dropped } = tokenizePairs(merging, given, { maxLength: 9 });
    assert.deepEqual(pairs, [
      { id: 'a', prompt: bytes('xa'), chosen: [...bytes('b'), END], rejected: [257, END] },
      { id: 'clear', prompt: bytes('x'), chosen: [...bytes('b'), END], rejected: [257, END] },
    ]);
    assert.deepEqual([apart, dropped], [['a'], []]);
  });

  it('leaves a pair out, and counts it, where tokenising the two apart would change the text', async () => {
    // SentencePiece's way: whatever is tokenised by itself begins with a space, so an answer by itself gains one.
    const spaced = await changed('tokenizer.json', (json) => {
      const model = json.model as { vocab: Record<string, number>; merges: string[] };
      model.vocab['\u2581'] = 258;
      model.vocab.ab = 257;
      model.merges = ['a b'];
      json.pre_tokenizer = { type: 'Metaspace', replacement: '\u2581', prepend_scheme: 'always', split: false };
      json.decoder = { type: 'Metaspace', replacement: '\u2581', prepend_scheme: 'always', split: false };
    });
    const given = [
      { ...pair, id: 'merged', prompt: 'xa', chosen: 'b', rejected: 'c' },
      { ...pair, id: 'clear', prompt: 'x', chosen: 'b', rejected: 'c' },
    ];
    const { pairs, dropped } = tokenizePairs(spaced, given, { maxLength: 9 });
    assert.deepEqual(pairs, [{ id: 'clear', prompt: [258, ...bytes('x')], chosen: [98, END], rejected: [99, END] }]);
    assert.deepEqual(dropped, [{ id: 'merged', reason: 'boundary lost' }]);
  });

  it('splits whole texts at the tokens they share, never inside one', async () => {
    const merging = await changed('tokenizer.json', (json) => {
      const model = json.model as { vocab: Record<string, number>; merges: string[] };
      model.vocab.ab = 257;
      model.merges = ['a b'];
    });
    const whole = { id: 'a', prompt: null, chosen: 'Q: xab', rejected: 'Q: xac' };
    assert.deepEqual(tokenizePairs(merging, [whole], { maxLength: 20 }).pairs, [
      { id: 'a', prompt: bytes('Q: x'), chosen: [257, END], rejected: [...bytes('ac'), END] },
    ]);
    // Characters would part these inside the special token.
    const special = { id: 'b', prompt: null, chosen: 'Q<|endoftext|>', rejected: 'Q<|end' };
    assert.deepEqual(tokenizePairs(merging, [special], { maxLength: 20 }).pairs, [
      { id: 'b', prompt: bytes('Q'), chosen: [END], rejected: [...bytes('<|end'), END] },
    ]);
  });

  it('takes a text that another begins with as the prompt of both', () => {
    const { pairs } = tokenizePairs(tokenizer, [{ id: 'a', prompt: null, chosen: 'Ask? Yes', rejected: 'Ask? ' }], {
      maxLength: 20,
    });
    assert.deepEqual(pairs[0], { id: 'a', prompt: bytes('Ask? '), chosen: [...bytes('Yes'), END], rejected: [END] });
  });

  it('leaves whole texts out that share no token, for there is nothing to predict the first one from', () => {
    const { pairs, dropped } = tokenizePairs(tokenizer, [{ id: 'a', prompt: null, chosen: 'Yes', rejected: 'No' }], {
      maxLength: 20,
    });
    assert.deepEqual([pairs, dropped], [[], [{ id: 'a', reason: 'no prompt' }]]);
  });

  it('does not double an end token that the text already has', () => {
    const ended = { ...pair, chosen: 'Yes<|endoftext|>' };
    assert.deepEqual(tokenizePairs(tokenizer, [ended], { maxLength: 100 }).pairs[0]!.chosen, [...bytes('Yes'), END]);
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
    assert.deepEqual(dropped, [{ id: 'a', reason: 'prompt too long' }]);
  });

  it('refuses a model without an end token', async () => {
    const endless: Change = (json) => delete json.eos_token_id;
    const nameless: Change = (json) => delete json.eos_token;
    assert.equal((await changed('config.json', endless)).eosTokenId, END, 'the tokenizer still names one');
    assert.equal((await changed('tokenizer_config.json', nameless)).eosTokenId, END, 'the model still names one');
    const neither = await changed('config.json', endless, 'tokenizer_config.json', nameless);
    assert.throws(() => tokenizePairs(neither, [pair], { maxLength: 100 }), { code: 'TOKENIZER_INVALID' });
  });

  it('tells pairs apart that teach something from those that cannot', () => {
    const { pairs } = tokenizePairs(tokenizer, [pair, { ...pair, id: 'same', rejected: 'Yes' }], { maxLength: 100 });
    assert.deepEqual(
      distinguishable(pairs).map(({ id }) => id),
      ['a'],
    );
  });
});
