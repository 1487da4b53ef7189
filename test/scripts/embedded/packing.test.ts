import assert from 'node:assert/strict';
import { packBatch, type TokenDocument } from '../../../scripts/embedded/packing.ts';

function from(documents: TokenDocument[]): () => TokenDocument {
  const queue = [...documents];
  return () => queue.shift() as TokenDocument;
}

describe('packing', () => {
  it('lays whole documents side by side and learns their answers alone', () => {
    const next = from([
      { prompt: [1, 2], answer: [3, 9] },
      { prompt: [4], answer: [5, 9] },
      { prompt: [6], answer: [7, 8, 9] },
    ]);
    const { tokens, mask } = packBatch(next, { rows: 1, length: 7, padding: 0 });
    assert.deepEqual([...tokens], [1, 2, 3, 9, 4, 5, 9, 0]);
    // Position p predicts token p + 1: the 3 and 9 of the first answer, the 5 and 9 of the second.
    assert.deepEqual([...mask], [0, 1, 1, 0, 1, 1, 0]);
  });

  it('puts each document into the fullest row with room', () => {
    const document = (size: number, token: number) => ({
      prompt: [token],
      answer: new Array<number>(size - 1).fill(token),
    });
    const next = from([document(4, 1), document(3, 2), document(1, 3), document(4, 4)]);
    const { tokens } = packBatch(next, { rows: 2, length: 4, padding: 0 });
    assert.deepEqual([...tokens], [1, 1, 1, 1, 3, 2, 2, 2, 0, 0]);
  });

  it('refuses a document longer than a row', () => {
    const next = from([{ prompt: [1, 2, 3], answer: [4, 5] }]);
    assert.throws(() => packBatch(next, { rows: 2, length: 3, padding: 0 }), RangeError);
  });
});
