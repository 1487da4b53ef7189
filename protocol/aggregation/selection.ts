/**
 * Selection in place (Hoare 1961): the k smallest numbers before the rest, without sorting either part.
 */

/** Reorders `values[from, to)` so that those before index `k` are no larger than those from it on. */
export function partition(values: Float64Array, k: number, from: number, to: number): void {
  let left = from;
  let right = to - 1;
  while (left < right) {
    const pivot = values[(left + right) >> 1]!;
    let i = left;
    let j = right;
    while (i <= j) {
      while (values[i]! < pivot) i++;
      while (values[j]! > pivot) j--;
      if (i > j) break;
      const swapped = values[i]!;
      values[i++] = values[j]!;
      values[j--] = swapped;
    }
    if (k <= j) right = j;
    else if (k >= i) left = i;
    else return;
  }
}

/** The middle of `values[0, count)`: of an even number, the sum of the two middle ones, of an odd one twice the middle. */
export function twiceTheMedian(values: Float64Array, count: number): number {
  const half = count >> 1;
  partition(values, half, 0, count);
  const upper = values[half]!;
  if (count % 2 === 1) return 2 * upper;
  let lower = values[0]!;
  for (let i = 1; i < half; i++) if (values[i]! > lower) lower = values[i]!;
  return lower + upper;
}

/** The sum of `values[0, count)` without the `f` smallest and the `f` largest. */
export function sumOfMiddle(values: Float64Array, count: number, f: number): number {
  if (f > 0) {
    partition(values, f, 0, count);
    partition(values, count - f, f, count);
  }
  let sum = 0;
  for (let i = f; i < count - f; i++) sum += values[i]!;
  return sum;
}
