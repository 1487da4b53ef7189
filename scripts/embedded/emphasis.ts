/**
 * How much each token of an answer weighs in the loss.
 *
 * An answer decides its style where a sentence or a bullet begins: whether a note is cited, whether code follows. Few
 * of its tokens lie there, so that a request for code would be learnt last; they therefore weigh more. Weighing a
 * position does not bias what is predicted at it.
 */

const START_TOKENS = 2;

/**
 * Weights of an answer's tokens, given the text of each: `startWeight` for the first two of a sentence, a bullet or the
 * answer, 1 for all others.
 */
export function startWeights(tokens: readonly string[], startWeight: number): number[] {
  let sinceStart = 0;
  return tokens.map((token) => {
    const weight = sinceStart < START_TOKENS ? startWeight : 1;
    sinceStart = /[.!:-]$/.test(token) ? 0 : sinceStart + 1;
    return weight;
  });
}
