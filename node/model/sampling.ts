/**
 * The choice of the next token from its logits.
 */

export interface SamplingOptions {
  /** 0 is greedy. */
  readonly temperature: number;
  /** Only the likeliest tokens that together reach this probability are drawn from (nucleus sampling). */
  readonly topP: number;
}

/** A token id. `uniform` gives a number in [0, 1); greedy choice does not call it. */
export function chooseToken(
  logits: Float32Array,
  { temperature, topP }: SamplingOptions,
  uniform: () => number,
): number {
  const likeliest = argmax(logits);
  if (temperature === 0) return likeliest;
  const peak = logits[likeliest]!;
  const odds = Float64Array.from(logits, (logit) => Math.exp((logit - peak) / temperature));
  const total = odds.reduce((sum, each) => sum + each, 0);
  const tokens = topP < 1 ? nucleus(odds, topP * total) : [...odds.keys()];
  const kept = tokens.reduce((sum, token) => sum + odds[token]!, 0);
  let left = uniform() * kept;
  for (const token of tokens) {
    left -= odds[token]!;
    if (left < 0) return token;
  }
  return likeliest;
}

/** The first of the highest. */
function argmax(values: Float32Array): number {
  let best = 0;
  for (let i = 1; i < values.length; i++) if (values[i]! > values[best]!) best = i;
  return best;
}

/** The fewest tokens whose odds reach `mass`, likeliest first. */
function nucleus(odds: Float64Array, mass: number): number[] {
  const order = [...odds.keys()].sort((a, b) => odds[b]! - odds[a]! || a - b);
  let reached = 0;
  const end = order.findIndex((token) => (reached += odds[token]!) >= mass);
  return end === -1 ? order : order.slice(0, end + 1);
}
