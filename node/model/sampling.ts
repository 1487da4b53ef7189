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
  const odds = new Float64Array(logits.length);
  let total = 0;
  for (let token = 0; token < odds.length; token++) {
    total += odds[token] = Math.exp((logits[token]! - peak) / temperature);
  }
  const tokens = topP < 1 ? nucleus(odds, topP * total) : everyToken(odds.length);
  let kept = 0;
  for (const token of tokens) kept += odds[token]!;
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
function nucleus(odds: Float64Array, mass: number): Int32Array {
  const order = everyToken(odds.length).sort((a, b) => odds[b]! - odds[a]! || a - b);
  let reached = 0;
  const end = order.findIndex((token) => (reached += odds[token]!) >= mass);
  return end === -1 ? order : order.subarray(0, end + 1);
}

function everyToken(count: number): Int32Array {
  return Int32Array.from({ length: count }, (_, token) => token);
}
