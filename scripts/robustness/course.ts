/**
 * A federation from its first round to its last with some of its participants hostile: real training, the attack, the
 * checks of admission, the rule. All but the network, which changes no number, and the gate, so that the rule stands
 * alone.
 */
import type { Attack, AttackedRound } from '../../aggregator/attacks/attack.ts';
import { weightedMean } from '../../aggregator/offline/weightedMean.ts';
import { RandomStream } from '../../node/training/randomStream.ts';
import { admitBlob } from '../../protocol/aggregation/admission.ts';
import { aggregateRound, inOrderOfHash } from '../../protocol/aggregation/aggregate.ts';
import { ruleByName, type RuleName } from '../../protocol/aggregation/rules.ts';
import { pairsBucket } from '../../protocol/messages.ts';
import { sha256 } from '../../protocol/names.ts';
import { encodeBlob, type FixedPointTensors } from '../../protocol/tensorBlob.ts';
import { addDelta } from '../../protocol/update.ts';
import type { Setting } from './setting.ts';
import type { Part, Stage } from './stage.ts';

/** A rule of the protocol, or the mean by claimed numbers of pairs, which the protocol does not have. */
export type Combination = RuleName | 'weighted';

export interface Course {
  readonly setting: Setting;
  readonly seed: number;
  readonly combination: Combination;
  /** Null: all are honest. */
  readonly attack: Attack | null;
}

/** The last adapter. */
export async function runCourse(stage: Stage, course: Course): Promise<FixedPointTensors> {
  const { setting, combination } = course;
  const rule = combination === 'weighted' ? 'alternating' : combination;
  let parent = stage.initial;
  for (let round = 1; round <= setting.rounds; round++) {
    const parentHash = sha256(encodeBlob(parent));
    const part: Part = { round, factor: ruleByName(rule).factorOf(round), parent, parentHash };
    const updates = (await updatesOf(stage, course, rule, part)).filter(({ tensors }) =>
      admitted(tensors, part, setting),
    );
    parent = combine(updates, combination, part);
  }
  return parent;
}

interface Sent {
  readonly tensors: FixedPointTensors;
  /** Pairs that the sender says it has. */
  readonly claimed: number;
}

async function updatesOf(stage: Stage, course: Course, rule: RuleName, part: Part): Promise<Sent[]> {
  const { setting, seed, attack } = course;
  const honestCount = attack === null ? setting.participants : setting.participants - setting.hostile;
  const sent: Sent[] = [];
  for (const [index, pairs] of stage.pairs.entries()) {
    if (index < honestCount) sent.push({ tensors: await stage.train(index, pairs, part), claimed: pairs.length });
  }
  if (attack === null) return sent;
  const honest = sent.map(({ tensors }) => tensors);
  const { normBound } = setting;
  for (let index = honestCount; index < setting.participants; index++) {
    const pairs = stage.pairs[index]!;
    const poisoned = stage.poisoned(index, attack);
    const round: AttackedRound = {
      ...{
        honest,
        hostile: setting.hostile,
        parent: part.parent,
        factor: part.factor,
        rule,
        parameters: {},
        normBound,
      },
      own: poisoned && (await stage.train(index, poisoned, part)),
      random: new RandomStream('attack', seed, part.round, index),
    };
    sent.push({ tensors: attack.update(round), claimed: attack.claimedPairs ?? pairs.length });
  }
  return sent;
}

function admitted(update: FixedPointTensors, { parent, factor }: Part, { normBound }: Setting): boolean {
  const bytes = encodeBlob(update);
  return admitBlob(bytes, sha256(bytes), { parent, factor, normBound }).accepted;
}

function combine(sent: readonly Sent[], combination: Combination, { parent, factor }: Part): FixedPointTensors {
  const updates = sent.map(({ tensors }) => tensors);
  if (combination !== 'weighted') {
    return aggregateRound({ rule: combination, parameters: {}, factor, parent, ...inOrderOfHash(updates) }).adapter;
  }
  const [{ bits, table }] = updates as [FixedPointTensors];
  const vectors = updates.map(({ values }) => values);
  // As large as an exact mean allows; the shares are the same as with the numbers themselves.
  const buckets = sent.map(({ claimed }) => Math.min(pairsBucket(claimed), LARGEST_WEIGHT));
  return addDelta(parent, { bits, table, values: weightedMean(vectors, buckets, vectors[0]!.length) });
}

const LARGEST_WEIGHT = 2 ** 16;
