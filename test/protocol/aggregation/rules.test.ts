import assert from 'node:assert/strict';
import fc from 'fast-check';
import { aggregateRound, inOrderOfHash } from '../../../protocol/aggregation/aggregate.ts';
import { exactMean } from '../../../protocol/aggregation/exactMean.ts';
import { divideHalfAwayFromZero } from '../../../protocol/aggregation/rounding.ts';
import { checkRuleParameters, ruleByName, RULE_NAMES } from '../../../protocol/aggregation/rules.ts';
import { LIMITS } from '../../../protocol/limits.ts';
import type { Factor } from '../../../protocol/messages.ts';
import { sha256 } from '../../../protocol/names.ts';
import type { FixedPointTensors } from '../../../protocol/tensorBlob.ts';
import { BITS, exampleUpdate, initialAdapter } from '../exampleFederation.ts';
import { assertRefused } from '../refusal.ts';

const LARGEST = 2 ** 31 - 1;
const integer = fc.integer({ min: -LARGEST, max: LARGEST });
const vectors = fc.tuple(fc.integer({ min: 1, max: 8 }), fc.integer({ min: 1, max: 12 })).chain(([length, count]) =>
  fc.array(
    fc.array(integer, { minLength: length, maxLength: length }).map((values) => Int32Array.from(values)),
    { minLength: count, maxLength: count },
  ),
);

/** Integer division half away from zero, in big integers. */
function bigDivide(sum: bigint, count: bigint): bigint {
  const magnitude = sum < 0n ? -sum : sum;
  const quotient = (2n * magnitude + count) / (2n * count);
  return sum < 0n ? -quotient : quotient;
}

describe('exact mean', () => {
  it('is that of big integers', () => {
    fc.assert(
      fc.property(vectors, (inputs) => {
        const found = exactMean(inputs, inputs[0]!.length);
        found.forEach((value, i) => {
          const sum = inputs.reduce((total, vector) => total + BigInt(vector[i]!), 0n);
          assert.equal(BigInt(value), bigDivide(sum, BigInt(inputs.length)));
        });
      }),
    );
  });

  it('does not depend on the order of the inputs', () => {
    const shuffled = vectors.chain((inputs) =>
      fc.tuple(
        fc.constant(inputs),
        fc.shuffledSubarray(inputs, { minLength: inputs.length, maxLength: inputs.length }),
      ),
    );
    fc.assert(
      fc.property(shuffled, ([inputs, other]) => {
        assert.deepEqual(exactMean(other, inputs[0]!.length), exactMean(inputs, inputs[0]!.length));
      }),
    );
  });

  it('divides sums right up to the largest, by every count up to the largest', () => {
    const most = LIMITS.participants.value;
    fc.assert(
      fc.property(fc.integer({ min: 1, max: most }), fc.nat(LARGEST), fc.nat(2 * most), (count, value, below) => {
        for (const sum of [value * count - below, value * count + below, -value * count + below]) {
          const found = divideHalfAwayFromZero(sum, count);
          assert.equal(BigInt(found), bigDivide(BigInt(sum), BigInt(count)), `${sum} / ${count}`);
        }
      }),
      { numRuns: 20_000 },
    );
  });

  it('rounds halves away from zero', () => {
    const halves = [1, 3, -1, -3].map((sum) => divideHalfAwayFromZero(sum, 2));
    assert.deepEqual(halves, [1, 2, -1, -2]);
  });

  it('takes as many vectors as a federation may have participants, and at least one', () => {
    const most = LIMITS.participants.value;
    const vector = Int32Array.of(LARGEST, -LARGEST);
    const times = (count: number) => Array.from({ length: count }, () => vector);
    assert.deepEqual(exactMean(times(most), 2), vector);
    assertRefused(() => exactMean(times(most + 1), 2), 'TOO_MANY_UPDATES');
    assertRefused(() => exactMean([], 2), 'NO_UPDATES');
  });
});

describe('rules', () => {
  it('alternate factors: B in odd rounds, A in even ones', () => {
    const { factorOf } = ruleByName('alternating');
    assert.deepEqual([1, 2, 3, 4].map(factorOf), ['B', 'A', 'B', 'A']);
    assert.equal(ruleByName('mean').factorOf(1), 'both');
  });

  it('take the parameters that they have, within their bounds', () => {
    for (const name of RULE_NAMES) {
      assert.equal(checkRuleParameters(name, {}), undefined);
      assert.match(checkRuleParameters(name, { sharpness: 1 }) ?? '', /no parameter sharpness/);
    }
  });
});

describe('a round', () => {
  const round = (updates: FixedPointTensors[], factor: Factor = 'B') =>
    aggregateRound({ rule: 'alternating', parameters: {}, factor, parent: initialAdapter, ...inOrderOfHash(updates) });

  it('adds the mean of the updates to the parent, exactly', () => {
    const { adapter, blob, hash } = round([exampleUpdate(0.25), exampleUpdate(0.5), exampleUpdate(0)]);
    const expected = Int32Array.from(initialAdapter.values);
    expected.fill(2 ** (BITS - 2), 6);
    assert.deepEqual(adapter.values, expected);
    assert.equal(sha256(blob), hash);
  });

  it('leaves the other factor alone', () => {
    const { adapter } = round([exampleUpdate(1, 'A')], 'A');
    assert.deepEqual(adapter.values.subarray(6), initialAdapter.values.subarray(6));
    assert.notDeepEqual(adapter.values.subarray(0, 6), initialAdapter.values.subarray(0, 6));
  });

  it('gives the mean of the products B·A exactly, which the mean of both factors does not', () => {
    const product = (adapter: FixedPointTensors) => {
      const [a, b] = [adapter.values.subarray(0, 6), adapter.values.subarray(6)];
      return Array.from({ length: 12 }, (_, i) => {
        const [row, column] = [Math.floor(i / 3), i % 3];
        return b[2 * row]! * a[column]! + b[2 * row + 1]! * a[3 + column]!;
      });
    };
    const participant = (change: number, factor: Factor) =>
      aggregateRound({
        rule: 'mean',
        parameters: {},
        factor,
        parent: initialAdapter,
        ...inOrderOfHash([exampleUpdate(change, factor)]),
      }).adapter;
    const meanOfProducts = (factor: Factor) => {
      const [first, second] = [product(participant(0.5, factor)), product(participant(-0.25, factor))];
      return first.map((value, i) => (value + second[i]!) / 2);
    };
    const updates = (factor: Factor) => [exampleUpdate(0.5, factor), exampleUpdate(-0.25, factor)];
    assert.deepEqual(product(round(updates('B')).adapter), meanOfProducts('B'));
    const both = aggregateRound({
      rule: 'mean',
      parameters: {},
      factor: 'both',
      parent: initialAdapter,
      ...inOrderOfHash(updates('both')),
    });
    assert.notDeepEqual(product(both.adapter), meanOfProducts('both'));
  });

  it('refuses updates of other tensors or another scale', () => {
    assertRefused(() => round([exampleUpdate(1, 'A')]), 'WRONG_TENSOR_TABLE');
    assertRefused(() => round([{ ...exampleUpdate(1), bits: BITS - 1 }]), 'WRONG_TENSOR_TABLE');
    assertRefused(() => round([]), 'NO_UPDATES');
  });
});
