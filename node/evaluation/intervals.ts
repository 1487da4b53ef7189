/**
 * A share of cases with its uncertainty.
 */

export interface Interval {
  /** The observed share, in [0, 1]. */
  readonly value: number;
  readonly low: number;
  readonly high: number;
}

/** A share over `n` cases, each tie counted as half a success in `value`. */
export interface Proportion extends Interval {
  readonly n: number;
  readonly ties: number;
}

/** Two-sided 95 % quantile of the standard normal distribution. */
const Z_95 = 1.959963984540054;

/**
 * The Wilson score interval at 95 % for `successes` of `n`, which stays inside [0, 1] and is never empty at the ends.
 * Fractional successes (ties counted half) are taken as they are.
 *
 * Source: E. B. Wilson, "Probable inference, the law of succession, and statistical inference", JASA 22 (1927).
 *
 * @param n at least 1
 */
export function wilson(successes: number, n: number): Interval {
  if (!(n >= 1) || !(successes >= 0) || successes > n) {
    throw new RangeError(`no share can be made of ${successes} successes in ${n} cases`);
  }
  const value = successes / n;
  const z2 = Z_95 * Z_95;
  const centre = (value + z2 / (2 * n)) / (1 + z2 / n);
  const halfWidth = (Z_95 / (1 + z2 / n)) * Math.sqrt((value * (1 - value)) / n + z2 / (4 * n * n));
  // At the ends the exact bound is the value itself; the formula misses it by rounding.
  const low = successes === 0 ? 0 : Math.max(0, centre - halfWidth);
  const high = successes === n ? 1 : Math.min(1, centre + halfWidth);
  return { value, low, high };
}

/** The share of `wins` in `n`, with `ties` counted half. */
export function proportion(wins: number, ties: number, n: number): Proportion {
  return { ...wilson(wins + ties / 2, n), n, ties };
}
