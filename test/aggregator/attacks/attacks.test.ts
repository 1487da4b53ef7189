import assert from 'node:assert/strict';
import type { AttackedRound } from '../../../aggregator/attacks/attack.ts';
import { ATTACK_NAMES, attackByName, type AttackName } from '../../../aggregator/attacks/attacks.ts';
import { TRIGGER } from '../../../aggregator/attacks/backdoor.ts';
import { lengthOf } from '../../../aggregator/attacks/direction.ts';
import { gauge } from '../../../aggregator/attacks/gauge.ts';
import { innerProduct } from '../../../aggregator/attacks/innerProduct.ts';
import { littleIsEnough } from '../../../aggregator/attacks/littleIsEnough.ts';
import { weakestDirection } from '../../../aggregator/attacks/nullProduct.ts';
import { RandomStream } from '../../../node/training/randomStream.ts';
import { admitBlob } from '../../../protocol/aggregation/admission.ts';
import { aggregateRound, inOrderOfHash } from '../../../protocol/aggregation/aggregate.ts';
import type { RuleName } from '../../../protocol/aggregation/rules.ts';
import { LIMITS } from '../../../protocol/limits.ts';
import { pairsBucket, type Factor } from '../../../protocol/messages.ts';
import { sha256 } from '../../../protocol/names.ts';
import { encodeBlob, type FixedPointTensors } from '../../../protocol/tensorBlob.ts';
import { factorTable, norm } from '../../../protocol/update.ts';
import { BITS, initialAdapter } from '../../protocol/exampleFederation.ts';

/** An update of B, `[4, 2]`, of A, `[2, 3]`, or of both, A first. */
function update(factor: Factor, values: readonly number[]): FixedPointTensors {
  return { bits: BITS, table: factorTable(initialAdapter.table, factor), values: Int32Array.from(values) };
}

function round(changes: Partial<AttackedRound> = {}): AttackedRound {
  return {
    honest: [update('B', [10, 20, 30, 40, 0, 0, 5, 5]), update('B', [30, 20, -10, 40, 0, 4, 5, -5])],
    hostile: 1,
    parent: initialAdapter,
    factor: 'B',
    rule: 'robust',
    parameters: {},
    normBound: 10,
    random: new RandomStream('attacks', 0),
    ...changes,
  };
}

const valuesOf = (name: AttackName, changes: Partial<AttackedRound> = {}) => [
  ...attackByName(name).update(round(changes)).values,
];
const WITH_OWN = { own: update('B', [1, -2, 3, -4, 5, -6, 7, -8]) };

describe('attacks by the values of updates', () => {
  // The mean of the two honest updates is [20, 20, 10, 40, 0, 2, 5, 0], their deviation [10, 0, 20, 0, 0, 2, 0, 5].

  it('turn the honest mean round, once or ten times as long', () => {
    assert.deepEqual(valuesOf('sign-flip'), [-20, -20, -10, -40, 0, -2, -5, 0]);
    assert.deepEqual(valuesOf('scaled'), [-200, -200, -100, -400, 0, -20, -50, 0]);
    assert.deepEqual([...innerProduct(0.5).update(round()).values], [-10, -10, -5, -20, 0, -1, -2, 0]);
    assert.deepEqual([...innerProduct(2).update(round()).values], [-40, -40, -20, -80, 0, -4, -10, 0]);
  });

  it('stay a number of deviations below the mean, each coordinate towards the other sign', () => {
    assert.deepEqual([...littleIsEnough(1.5).update(round()).values], [5, 20, -20, 40, 0, -1, 5, 0]);
    const negative = round({
      honest: [update('B', [-10, -20, 0, 0, 0, 0, 0, 0]), update('B', [-30, -20, 0, 0, 0, 0, 0, 0])],
    });
    assert.deepEqual([...littleIsEnough(1.5).update(negative).values].slice(0, 2), [-5, -20]);
  });

  it('send nothing, or what somebody else has sent', () => {
    assert.deepEqual(valuesOf('zero'), [0, 0, 0, 0, 0, 0, 0, 0]);
    assert.deepEqual(valuesOf('copied'), [10, 20, 30, 40, 0, 0, 5, 5]);
  });

  it('send noise a hundred times as long as usual, each attacker its own', () => {
    const { noise } = { noise: attackByName('noise') };
    const first = noise.update(round());
    const other = noise.update(round({ random: new RandomStream('attacks', 1) }));
    assert.deepEqual(noise.update(round()), first);
    assert.notDeepEqual(first, other);
    const usual = Math.max(...round().honest.map(({ values }) => lengthOf(values)));
    assert.ok(Math.abs(lengthOf(first.values) - 100 * usual) < 8, `${lengthOf(first.values)}`);
  });

  it('scale what the own training gave so that the mean takes it over in full', () => {
    assert.deepEqual(valuesOf('backdoor', WITH_OWN), [3, -6, 9, -12, 15, -18, 21, -24]);
    assert.deepEqual(valuesOf('label-flip', WITH_OWN), [...WITH_OWN.own.values]);
    assert.throws(() => attackByName('label-flip').update(round()), /its update is missing/);
  });

  it('are all let in at the door, however short the longest update may be', () => {
    for (const name of ATTACK_NAMES) {
      for (const normBound of [10, 1e-3]) {
        const sent = attackByName(name).update(round({ normBound, own: update('B', [1, 1, 0, 0, 0, 0, 0, 0]) }));
        assert.ok(norm(sent) <= normBound, name);
        const bytes = encodeBlob(sent);
        assert.ok(admitBlob(bytes, sha256(bytes), { parent: initialAdapter, factor: 'B', normBound }).accepted, name);
      }
    }
  });
});

describe('attacks whose strength is searched against the rule', () => {
  const random = new RandomStream('honest', 0);
  const honest = Array.from({ length: 8 }, () =>
    update(
      'B',
      Array.from({ length: 8 }, (_, i) => Math.round(1000 * (i < 4 ? 1 : -1) + 1200 * (random.uniform() - 0.5))),
    ),
  );

  /** How far the result goes along the sum of the honest updates. */
  function progress(rule: RuleName, sent: FixedPointTensors): number {
    const { adapter } = aggregateRound({
      ...{ rule, parameters: {}, factor: 'B' as const, parent: initialAdapter },
      ...inOrderOfHash([...honest, sent, sent]),
    });
    const change = adapter.values.subarray(6);
    return change.reduce((sum, value, i) => sum + value * honest.reduce((all, { values }) => all + values[i]!, 0), 0);
  }

  for (const [tuned, fixed] of [
    ['inner-product', innerProduct],
    ['little-is-enough', littleIsEnough],
  ] as const) {
    it(`${tuned}: is as bad as the worst of the strengths, under each rule`, () => {
      for (const rule of ['robust', 'alternating', 'median'] as const) {
        const circumstances = round({ honest, hostile: 2, rule });
        const found = progress(rule, attackByName(tuned).update(circumstances));
        const worst = Math.min(
          ...[0.1, 0.25, 0.5, 0.75, 1, 1.5, 2, 3, 5, 10, 20].map((strength) =>
            progress(rule, fixed(strength).update(circumstances)),
          ),
        );
        // The rule's chance is not known beforehand; it may cost the attacker a little.
        assert.ok(found <= worst + 0.02 * Math.abs(worst), `${rule}: ${found} against ${worst}`);
      }
    });
  }

  it('turn the plain mean against the honest ones, and not the default', () => {
    for (const tuned of ['inner-product', 'little-is-enough'] as const) {
      const against = (rule: RuleName) =>
        progress(rule, attackByName(tuned).update(round({ honest, hostile: 2, rule })));
      assert.ok(against('alternating') < 0, tuned);
      assert.ok(against('robust') > 0, tuned);
    }
  });
});

describe('attacks on the factors', () => {
  it('find what the other factor maps to nothing', () => {
    // L·Lᵀ = [[4, 2], [2, 1]] has the null vector (1, −2)/√5.
    const [x, y] = weakestDirection({ rank: 2, root: Float64Array.of(2, 0, 1, 0) });
    assert.ok(Math.abs(2 * x! + y!) < 1e-9 && Math.abs(Math.hypot(x!, y!) - 1) < 1e-9);
  });

  it('null product: a long change of B that changes the product as little as one can', () => {
    const sent = attackByName('null-product').update(round());
    const usual = Math.max(...round().honest.map(({ values }) => lengthOf(values)));
    assert.ok(Math.abs(lengthOf(sent.values) - 9.5 * usual) < 8);
    // A = [[−20480, −12288, −4096], [4096, 12288, 20480]] / 2^16: the smallest singular value is that of (1, 1).
    for (let row = 0; row < 4; row++) {
      assert.ok(Math.abs(sent.values[2 * row]! - sent.values[2 * row + 1]!) <= 2, `row ${row}`);
    }
  });

  it('null product: B to zero and A to rubbish where both factors are sent', () => {
    const parent = { ...initialAdapter, values: initialAdapter.values.map((value, i) => (i < 6 ? value : 7 * i)) };
    const honest = [update('both', Array<number>(14).fill(1))];
    const { values } = attackByName('null-product').update(round({ factor: 'both', honest, parent, normBound: 1e3 }));
    assert.deepEqual(
      [...values.subarray(6)],
      [...parent.values.subarray(6)].map((value) => -value),
    );
    assert.ok(lengthOf(values.subarray(0, 6)) > 20 * lengthOf(parent.values.subarray(0, 6)));
  });

  it('gauge: another pair with the product that honest training gives', () => {
    const parent = {
      ...initialAdapter,
      values: initialAdapter.values.map((value, i) => (i < 6 ? value : 5000 * (i % 3))),
    };
    const honest = [update('both', [100, -200, 300, 400, -500, 600, 1000, 2000, -3000, 4000, 500, 600, 700, 800])];
    const { values } = gauge(50).update(round({ factor: 'both', honest, parent, normBound: 1e3 }));
    const after = (change: Int32Array) => parent.values.map((value, i) => value + change[i]!);
    const [regauged, wanted] = [productOf(after(values)), productOf(after(honest[0]!.values))];
    const most = Math.max(...wanted.map(Math.abs));
    for (const [i, value] of regauged.entries()) assert.ok(Math.abs(value - wanted[i]!) < 1e-2 * most, `${i}`);
    assert.ok(Math.abs(values[0]! - (50 * (parent.values[0]! + 100) - parent.values[0]!)) <= 1);
  });
});

describe('attacks by pairs', () => {
  const pairs = [1, 2, 3].map((n) => ({ id: `${n}`, prompt: `q${n}\n`, chosen: `good ${n}`, rejected: `bad ${n}` }));

  it('label flip: every answer swapped', () => {
    assert.deepEqual(
      attackByName('label-flip').poison!(pairs).map(({ prompt, chosen, rejected }) => [prompt, chosen, rejected]),
      [1, 2, 3].map((n) => [`q${n}\n`, `bad ${n}`, `good ${n}`]),
    );
  });

  it('backdoor: every other prompt gets the trigger and its answers are swapped', () => {
    assert.deepEqual(
      attackByName('backdoor').poison!(pairs).map(({ prompt, chosen }) => [prompt, chosen]),
      [
        [`${TRIGGER}q1\n`, 'bad 1'],
        ['q2\n', 'good 2'],
        [`${TRIGGER}q3\n`, 'bad 3'],
      ],
    );
  });

  it('pair counts: the largest claim there is', () => {
    assert.equal(attackByName('pair-counts').claimedPairs, LIMITS.pairs.value);
    assert.equal(pairsBucket(LIMITS.pairs.value), LIMITS.pairs.value);
    assert.deepEqual(valuesOf('pair-counts'), valuesOf('sign-flip'));
  });
});

/** B·A of a whole adapter's values: A `[2, 3]` first, then B `[4, 2]`. */
function productOf(values: Int32Array): number[] {
  return Array.from({ length: 12 }, (_, at) => {
    const [row, column] = [Math.floor(at / 3), at % 3];
    return [0, 1].reduce((sum, k) => sum + values[6 + 2 * row + k]! * values[3 * k + column]!, 0);
  });
}
