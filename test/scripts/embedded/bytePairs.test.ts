import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { Tokenizer } from '../../../node/model/tokenizer.ts';
import { BYTE_SYMBOLS, BytePairEncoder, trainBytePairs } from '../../../scripts/embedded/bytePairs.ts';
import { corpusDocument } from '../../../scripts/embedded/corpus.ts';
import { writeTokenizerFiles } from '../../../scripts/embedded/tokenizerFiles.ts';

describe('byte-pair training', () => {
  it('merges the most frequent neighbours first', () => {
    const { tokens, merges } = trainBytePairs(['abab abab abc abab'], 259);
    assert.deepEqual(merges, [
      ['a', 'b'],
      ['ab', 'ab'],
      ['Ġ', 'abab'],
    ]);
    assert.deepEqual(tokens.slice(256), ['ab', 'abab', 'Ġabab']);
  });

  it('stops when no pair occurs twice', () => {
    assert.equal(trainBytePairs(['abcdef'], 1000).tokens.length, 256);
  });

  it('gives a symbol of its own to each byte', () => {
    assert.equal(new Set(BYTE_SYMBOLS).size, 256);
    assert.equal(BYTE_SYMBOLS[0x20], 'Ġ');
    assert.equal(BYTE_SYMBOLS[0x0a], 'Ċ');
    assert.equal(BYTE_SYMBOLS[0x41], 'A');
  });
});

describe('the tokenizer files', () => {
  const documents = Array.from({ length: 400 }, (_, index) => corpusDocument(1, index));
  const pairs = trainBytePairs(
    documents.flatMap(({ prompt, answer }) => [prompt, answer]),
    700,
  );
  let folder: string;
  let tokenizer: Tokenizer;
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'prefmesh-tokenizer-'));
    await writeTokenizerFiles(folder, pairs, 512);
    tokenizer = await Tokenizer.open(folder);
  });
  after(() => rm(folder, { recursive: true, force: true }));

  it('make the general tokenizer agree with the encoder that the corpus is encoded by', () => {
    const encoder = new BytePairEncoder(pairs);
    for (const { prompt, answer } of documents) {
      for (const text of [prompt, answer]) assert.deepEqual(tokenizer.encode(text), encoder.encode(text));
    }
  });

  it('carry any text there and back', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme', maxLength: 60 }), (text) => {
        fc.pre(!text.includes('<|'));
        assert.equal(tokenizer.decode(tokenizer.encode(text)), text);
      }),
    );
  });

  it('name the end token, after all others', () => {
    assert.equal(tokenizer.eosTokenId, pairs.tokens.length);
    assert.equal(tokenizer.bosTokenId, null);
  });
});
