import assert from 'node:assert/strict';
import { packBatch, type TokenDocument } from '../../../scripts/embedded/packing.ts';

function from(documents: TokenDocument[]): () => TokenDocument {
  const queue = [...documents];
  return () => queue.shift() as TokenDocument;
}

describe('packing', () => {
  it('lays whole documents side by side and learns what is to be learnt alone', () => {
    const next = from([
      { given: [1, 2], learnt: [3, 9] },
      { given: [4], learnt: [5, 9], weights: [4, 1] },
      { given: [6], learnt: [7, 8, 9] },
    ]);
    const { tokens, mask } = packBatch(next, { rows: 1, length: 7, padding: 0 });
    assert.deepEqual([...tokens], [1, 2, 3, 9, 4, 5, 9, 0]);
    // Position p predicts token p + 1: the 3 and 9 of the first document, the 5 and 9 of the second.
    assert.deepEqual([...mask], [0, 1, 1, 0, 4, 1, 0]);
  });

  it('puts each document into the fullest row with room', () => {
    const document = (size: number, token: number) => ({
      given: [token],
      learnt: Array.from({ length: size - 1 }, () => token),
    });
    const next = from([document(4, 1), document(3, 2), document(1, 3), document(4, 4)]);
    const { tokens } = packBatch(next, { rows: 2, length: 4, padding: 0 });
    assert.deepEqual([...tokens], [1, 1, 1, 1, 3, 2, 2, 2, 0, 0]);
  });

  it('refuses a document longer than a row', () => {
    const next = from([{ given: [1, 2, 3], learnt: [4, 5] }]);
    assert.throws(() => packBatch(next, { rows: 2, length: 3, padding: 0 }), RangeError);
  });
});
