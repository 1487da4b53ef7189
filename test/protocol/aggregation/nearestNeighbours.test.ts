import assert from 'node:assert/strict';
import fc from 'fast-check';
import { aggregateRound, inOrderOfHash } from '../../../protocol/aggregation/aggregate.ts';
import { furthest } from '../../../protocol/aggregation/nearestNeighbours.ts';
import type { FixedPointTensors } from '../../../protocol/tensorBlob.ts';

describe('the updates that are not mixed into another', () => {
  it('are the furthest where distances differ', () => {
    assert.deepEqual(furthest(Float64Array.of(9, 1, 0, 2, 30, 4), 2, 2), [4, 0]);
  });

  it('follow it, where all are about equally far, and after the last comes the first', () => {
    assert.deepEqual(furthest(Float64Array.of(100, 99, 0, 101, 98, 102), 2, 2), [3, 4]);
    assert.deepEqual(furthest(Float64Array.of(100, 99, 0, 101, 98, 102), 2, 4), [3, 4, 5, 0]);
  });

  it('are first those clearly further than the last of them, then those that follow of the others', () => {
    // The third furthest is at 80: above 90 is clearly further, below 70 clearly nearer.
    assert.deepEqual(furthest(Float64Array.of(200, 70, 0, 60, 80, 90), 2, 3), [0, 4, 5]);
    assert.deepEqual(furthest(Float64Array.of(200, 70, 0, 69, 80, 91), 2, 3), [5, 0, 4]);
  });

  it('are none where none is taken to be hostile, and fit where all distances are zero', () => {
    assert.deepEqual(furthest(Float64Array.of(1, 1, 0, 1, 1, 1), 2, 0), []);
    assert.deepEqual(furthest(Float64Array.of(0, 0, 0, 0, 0, 0), 5, 2), [0, 1]);
  });

  it('are f others, none of them nearer than 7/9 of the squared distance of one that is mixed in', () => {
    const round = fc
      .integer({ min: 5, max: 30 })
      .chain((n) =>
        fc.tuple(
          fc.array(fc.integer({ min: 0, max: 60 }), { minLength: n, maxLength: n }),
          fc.nat(n - 1),
          fc.nat(Math.floor(0.49 * n)),
        ),
      );
    fc.assert(
      fc.property(round, ([distances, i, f]) => {
        distances[i] = 0;
        const far = furthest(Float64Array.from(distances), i, f);
        assert.equal(new Set(far).size, f);
        assert.ok(!far.includes(i));
        const near = distances.filter((_, j) => j !== i && !far.includes(j));
        for (const j of far) assert.ok(distances[j]! * 9 >= Math.max(0, ...near) * 7);
      }),
      { numRuns: 1000 },
    );
  });
});

const NAME = 'base_model.model.model.layers.0.self_attn.q_proj.lora_';
const RANK = 2;
/** A tensor with no more rows than a sketch has buckets: distances are exact. */
const ROWS = 24;
const PARENT: FixedPointTensors = {
  bits: 16,
  table: [
    { name: `${NAME}A.weight`, shape: [RANK, RANK] },
    { name: `${NAME}B.weight`, shape: [ROWS, RANK] },
  ],
  // A is the identity: lengths of products are lengths of B.
  values: Int32Array.from({ length: RANK * RANK + ROWS * RANK }, (_, i) => (i === 0 || i === 3 ? 2 ** 16 : 0)),
};
/** One in four participants has each of four tastes; the last one is a little further from the others than they are. */
const TASTES = 4;
const ALONG = 1000;

/** An update along its taste and along an axis that is its own. */
function update(participant: number): FixedPointTensors {
  const taste = participant % TASTES;
  const values = new Int32Array(ROWS * RANK);
  values[taste] = ALONG;
  values[TASTES + participant] = 2 * ALONG;
  // Against the other tastes by a hundredth, as one of them always is.
  if (taste === TASTES - 1) for (let other = 0; other < taste; other++) values[other] = -ALONG / 50;
  return { bits: 16, table: [PARENT.table[1]!], values };
}

describe('the robust rule among participants with different tastes', () => {
  const honest = Array.from({ length: 16 }, (_, participant) => update(participant));
  const learnt = (updates: readonly FixedPointTensors[]) => {
    const { adapter } = aggregateRound({
      rule: 'robust',
      parameters: {},
      factor: 'B',
      parent: PARENT,
      ...inOrderOfHash(updates),
    });
    return Array.from(adapter.values.subarray(RANK * RANK, RANK * RANK + TASTES));
  };

  it('forgets no taste, though four send a copy of one honest update and one taste is slightly further from all', () => {
    const attacked = learnt([...honest, ...Array.from({ length: 4 }, () => honest[0]!)]);
    for (const [taste, value] of attacked.entries()) {
      assert.ok(value >= ALONG / TASTES / 2, `taste ${taste}: ${value} of ${ALONG / TASTES}`);
    }
  });
});
