import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { bestLowRank } from '../../../protocol/aggregation/lowRank.ts';

interface SvdCase {
  readonly outputs: number;
  readonly inputs: number;
  readonly ranks: readonly number[];
  readonly kept: number;
  /** `[outputs, rank]` and `[rank, inputs]`, row-major, one for each participant. */
  readonly left: readonly (readonly number[])[];
  readonly right: readonly (readonly number[])[];
  readonly best: readonly number[];
  readonly energy: number;
  readonly truncated: number;
}

const cases = JSON.parse(readFileSync(new URL('golden/svd.json', import.meta.url), 'utf8')) as readonly SvdCase[];

function columnsOf({ outputs, inputs, ranks, left, right }: SvdCase): { left: Float64Array[]; right: Float64Array[] } {
  const columns = { left: [] as Float64Array[], right: [] as Float64Array[] };
  for (const [n, rank] of ranks.entries()) {
    for (let k = 0; k < rank; k++) {
      columns.left.push(Float64Array.from({ length: outputs }, (_, i) => left[n]![i * rank + k]! / ranks.length));
      columns.right.push(Float64Array.from(right[n]!.slice(k * inputs, (k + 1) * inputs)));
    }
  }
  return columns;
}

function productOf(left: readonly Float64Array[], right: readonly Float64Array[]): number[] {
  const [m, n] = [left[0]!.length, right[0]!.length];
  return Array.from({ length: m * n }, (_, at) => {
    return left.reduce((sum, column, k) => sum + column[Math.floor(at / n)]! * right[k]![at % n]!, 0);
  });
}

function assertClose(actual: readonly number[], expected: readonly number[], tolerance: number): void {
  assert.equal(actual.length, expected.length);
  for (const [i, value] of expected.entries())
    assert.ok(Math.abs(actual[i]! - value) <= tolerance, `${actual[i]} ${value}`);
}

describe('the best low-rank factors of a sum of products', () => {
  it('are those of a dense singular value decomposition', () => {
    for (const each of cases) {
      const { left, right } = columnsOf(each);
      const found = bestLowRank(left, right, each.kept);
      assertClose(productOf(found.left, found.right), each.best, 1e-12);
      assertClose([found.energy, found.truncated], [each.energy, each.truncated], 1e-11);
    }
  });

  it('give the sum itself where the rank is large enough', () => {
    for (const each of cases) {
      const { left, right } = columnsOf(each);
      const found = bestLowRank(left, right, left.length);
      assertClose(productOf(found.left, found.right), productOf(left, right), 1e-12);
      assert.equal(found.truncated, 0);
    }
  });

  it('leave directions without a share at zero, and take a sum of nothing', () => {
    const column = (...values: number[]) => Float64Array.from(values);
    const same = [column(1, 2, 3), column(2, 4, 6)];
    const found = bestLowRank(same, [column(1, 1), column(1, 1)], 2);
    assertClose(productOf(found.left, found.right), [3, 3, 6, 6, 9, 9], 1e-12);
    assert.ok(found.left[1]!.every((value) => value === 0) && found.right[1]!.every((value) => value === 0));
    const nothing = bestLowRank([column(0, 0)], [column(1, 2)], 1);
    assert.deepEqual([...nothing.left[0]!, nothing.energy], [0, 0, 0]);
  });
});
