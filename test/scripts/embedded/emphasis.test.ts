import assert from 'node:assert/strict';
import { startWeights } from '../../../scripts/embedded/emphasis.ts';

describe('the weights of an answer', () => {
  it('are higher at the first two tokens of the answer and of each sentence', () => {
    const tokens = ['Sure', 'Ġthing', '!', 'ĠYou', 'Ġcan', 'Ġstart', '.', 'ĠSee', 'Ġ[[', 'Log', ']].', '<|endoftext|>'];
    assert.deepEqual(startWeights(tokens, 4), [4, 4, 1, 4, 4, 1, 1, 4, 4, 1, 1, 4]);
  });

  it('are higher at the first two tokens of each bullet', () => {
    const tokens = ['-', 'ĠOne', 'Ġshould', 'Ġrest', 'Ċ', '-', 'ĠIt', 'Ġis', 'Ġfine'];
    assert.deepEqual(startWeights(tokens, 4), [4, 4, 4, 1, 1, 1, 4, 4, 1]);
  });
});
