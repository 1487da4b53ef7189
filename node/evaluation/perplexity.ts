/**
 * Perplexity of completions: the exponential of the mean negative log-probability per token, in nats. Tokens are
 * pooled over all completions, so a long answer weighs more than a short one.
 *
 * @param logProbs summed log-probability of each completion, `[pairs]`, in nats
 * @param tokens scored tokens of each completion, `[pairs]`
 */
export function perplexity(logProbs: ArrayLike<number>, tokens: ArrayLike<number>): number {
  let nats = 0;
  let count = 0;
  for (let index = 0; index < logProbs.length; index++) {
    nats -= logProbs[index] ?? Number.NaN;
    count += tokens[index] ?? Number.NaN;
  }
  return Math.exp(nats / count);
}
