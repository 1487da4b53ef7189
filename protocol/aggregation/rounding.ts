/** Rounding of quotients and products to whole numbers, half away from zero, so that negated inputs give negated results. */

/** sum / count for whole numbers with |sum| + count < 2^52 and count >= 1. Exact: the quotient is mended by its remainder. */
export function divideHalfAwayFromZero(sum: number, count: number): number {
  const doubled = 2 * Math.abs(sum) + count;
  const divisor = 2 * count;
  let magnitude = Math.floor(doubled / divisor);
  const remainder = doubled - magnitude * divisor;
  if (remainder < 0) magnitude -= 1;
  else if (remainder >= divisor) magnitude += 1;
  return sum < 0 ? -magnitude : magnitude;
}

/** The whole number nearest to a float64. */
export function roundHalfAwayFromZero(value: number): number {
  const magnitude = Math.floor(Math.abs(value) + 0.5);
  return value < 0 ? -magnitude : magnitude;
}
