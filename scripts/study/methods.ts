/**
 * What the study compares with a participant alone: a federation under a rule, round for round what the real one
 * computes but without the network, and all pairs in one place. All start from the same initial adapter.
 */
import { type Learner, type StartingPoint, trainAlone } from '../../aggregator/demo/alone.ts';
import { adapterVectorLength } from '../../node/training/adapterVector.ts';
import { roundSeed, trainLocalRound } from '../../node/training/localRound.ts';
import type { LogProbs } from '../../node/training/metrics.ts';
import { aggregateRound, inOrderOfHash } from '../../protocol/aggregation/aggregate.ts';
import { ruleByName, type RuleName } from '../../protocol/aggregation/rules.ts';
import type { FixedPointTensors } from '../../protocol/tensorBlob.ts';
import { dequantize, quantize } from '../../protocol/update.ts';

const FIXED_POINT_BITS = 24;

/** As many steps as a federation, each over as many pairs as all participants see at once. */
export function trainCentralised(start: StartingPoint, learners: readonly Learner[]): Promise<Float32Array> {
  const join = (side: keyof LogProbs) => Float64Array.from(learners.flatMap(({ reference }) => [...reference[side]]));
  const pooled: Learner = {
    pairs: learners.flatMap(({ pairs }) => pairs),
    reference: { chosen: join('chosen'), rejected: join('rejected') },
  };
  return trainAlone(start, pooled, { accumulate: learners.length });
}

/** The flat adapter after the rounds of a federation. */
export async function trainFederated(
  start: StartingPoint,
  learners: readonly Learner[],
  rule: RuleName,
): Promise<Float32Array> {
  return dequantize(await runRounds(start, learners, rule), start.table, adapterVectorLength(start.table));
}

/** The rounds of a federation, with the protocol's own integers and rule: the blob of a real one has the same bytes. */
export async function runRounds(
  start: StartingPoint,
  learners: readonly Learner[],
  rule: RuleName,
): Promise<FixedPointTensors> {
  const { policy, table, training, rounds, seed, signal } = start;
  const length = adapterVectorLength(table);
  let global = quantize(start.initial, table, FIXED_POINT_BITS);
  for (let round = 1; round <= rounds; round++) {
    const factor = ruleByName(rule).factorOf(round);
    const parent = dequantize(global, table, length);
    const updates = [];
    for (const [index, { pairs, reference }] of learners.entries()) {
      const { delta, entries } = await trainLocalRound(
        policy,
        pairs,
        { parent, table, factor, terms: training, seed: roundSeed(seed + index, round), reference },
        { signal },
      );
      updates.push(quantize(delta, entries, FIXED_POINT_BITS));
    }
    global = aggregateRound({ rule, parameters: {}, factor, parent: global, ...inOrderOfHash(updates) }).adapter;
  }
  return global;
}
