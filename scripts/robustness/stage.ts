/**
 * One seed's participants, pairs and evaluation set, and the two things that take time: a participant's training in a
 * round, and the measuring of an adapter. Both are the production ones, through the embedded model.
 */
import { makeGlobalSet, makeParticipantPairs } from '../../node/preferences/tastes/tastePairs.ts';
import { DEMO_SETS } from '../../aggregator/demo/plan.ts';
import type { Attack } from '../../aggregator/attacks/attack.ts';
import { triggered } from '../../aggregator/attacks/backdoor.ts';
import { preferenceFigures } from '../../node/evaluation/preferenceAccuracy.ts';
import type { Checkpoint } from '../../node/model/checkpoint.ts';
import type { Tokenizer } from '../../node/model/tokenizer.ts';
import type { PreferencePair } from '../../node/preferences/pairs.ts';
import { initialAdapter } from '../../node/training/adapter.ts';
import type { AdapterVectorEntry } from '../../node/training/adapterVector.ts';
import { roundSeed, trainLocalRound } from '../../node/training/localRound.ts';
import type { PairLogProbs, Policy, TokenizedPair } from '../../node/training/policy.ts';
import { tokenizePairs } from '../../node/training/tokenization.ts';
import type { Factor } from '../../protocol/messages.ts';
import { sha256, type Sha256 } from '../../protocol/names.ts';
import { decodeBlob, encodeBlob, type FixedPointTensors } from '../../protocol/tensorBlob.ts';
import { dequantize, quantize } from '../../protocol/update.ts';
import type { Memory } from './memory.ts';
import { LAYOUT, type Setting } from './setting.ts';

/** Shares in [0, 1]. */
export interface Figures {
  readonly accuracy: number;
  /** Mean reward margin in nats. */
  readonly margin: number;
  /** Pairs whose prompt holds the trigger and whose rejected answer is preferred. */
  readonly triggered: number;
}

export interface StageComponents {
  readonly setting: Setting;
  readonly checkpoint: Checkpoint;
  readonly tokenizer: Tokenizer;
  readonly policy: Policy;
  readonly memory: Memory;
}

export interface Part {
  readonly round: number;
  readonly factor: Factor;
  readonly parent: FixedPointTensors;
  /** The name of `parent`. */
  readonly parentHash: Sha256;
}

export class Stage {
  readonly initial: FixedPointTensors;
  /** Private pairs, one list a participant. */
  readonly pairs: readonly (readonly PreferencePair[])[];
  readonly #components: StageComponents;
  readonly #seed: number;
  readonly #table: readonly AdapterVectorEntry[];
  readonly #evaluation: readonly PreferencePair[];
  readonly #triggered: readonly PreferencePair[];
  readonly #poisoned = new Map<string, readonly PreferencePair[]>();
  readonly #tokenized = new Map<readonly PreferencePair[], readonly TokenizedPair[]>();
  readonly #references = new Map<readonly PreferencePair[], PairLogProbs>();

  constructor(seed: number, components: StageComponents) {
    const { checkpoint, setting } = components;
    const { participants, pairs, evaluationPairs, bits } = setting;
    this.#components = components;
    this.#seed = seed;
    const share = DEMO_SETS.mainTasteShare;
    this.pairs = Array.from({ length: participants }, (_, participant) =>
      makeParticipantPairs({ seed, participant, participants, count: pairs, share }),
    );
    this.#evaluation = makeGlobalSet({ seed, purpose: 'evaluation', count: evaluationPairs });
    this.#triggered = this.#evaluation.map(triggered);
    const { vector, table } = initialAdapter(checkpoint.config, LAYOUT, LAYOUT.alpha, seed);
    this.#table = table;
    this.initial = quantize(vector, table, bits);
  }

  /** The pairs that participant `index` trains on where it is hostile; undefined where the attack does not train. */
  poisoned(index: number, attack: Attack): readonly PreferencePair[] | undefined {
    const { label, poison } = attack;
    return poison && remembered(this.#poisoned, `${label} ${index}`, () => poison(this.pairs[index]!));
  }

  /** What participant `index` sends in a round if it trains as it should on these pairs. */
  async train(index: number, pairs: readonly PreferencePair[], part: Part): Promise<FixedPointTensors> {
    const { memory, policy, setting } = this.#components;
    const { round, factor, parent, parentHash } = part;
    const seed = roundSeed(this.#seed + index, round);
    const key = ['update', setting.training, LAYOUT, setting.bits, seed, factor, parentHash, hashOf(pairs)];
    const bytes = await memory.recall(key, async () => {
      const { delta, entries } = await trainLocalRound(policy, this.#tokens(pairs), {
        parent: this.#flat(parent),
        table: this.#table,
        factor,
        terms: setting.training,
        seed,
        reference: await this.#reference(pairs),
      });
      return encodeBlob(quantize(delta, entries, setting.bits));
    });
    return decodeBlob(bytes);
  }

  /** How good an adapter is on pairs that nobody trains on; `withTrigger` measures those with the trigger too. */
  async measure(adapter: FixedPointTensors, withTrigger: boolean): Promise<Figures> {
    const plain = await this.#figures(adapter, this.#evaluation);
    if (!withTrigger) return { ...plain, triggered: Number.NaN };
    const { accuracy } = await this.#figures(adapter, this.#triggered);
    return { ...plain, triggered: 1 - accuracy };
  }

  async #figures(adapter: FixedPointTensors, pairs: readonly PreferencePair[]): Promise<Omit<Figures, 'triggered'>> {
    const { memory, policy, setting } = this.#components;
    const key = ['figures', LAYOUT, setting.training.beta, sha256(encodeBlob(adapter)), hashOf(pairs)];
    const bytes = await memory.recall(key, async () => {
      const candidate = await policy.logProbs(this.#tokens(pairs), this.#flat(adapter));
      const figures = preferenceFigures(candidate, await this.#reference(pairs), setting.training.beta);
      return Buffer.from(JSON.stringify({ accuracy: figures.accuracy.value, margin: figures.meanMargin }));
    });
    return JSON.parse(Buffer.from(bytes).toString()) as Omit<Figures, 'triggered'>;
  }

  #flat(adapter: FixedPointTensors): Float32Array {
    return dequantize(adapter, this.#table, this.#components.policy.parameterCount);
  }

  #tokens(pairs: readonly PreferencePair[]): readonly TokenizedPair[] {
    const { tokenizer, setting } = this.#components;
    const { maxLength } = setting.training;
    return remembered(this.#tokenized, pairs, () => tokenizePairs(tokenizer, pairs, { maxLength }).pairs);
  }

  async #reference(pairs: readonly PreferencePair[]): Promise<PairLogProbs> {
    const found = this.#references.get(pairs);
    if (found !== undefined) return found;
    const reference = await this.#components.policy.logProbs(this.#tokens(pairs), null);
    this.#references.set(pairs, reference);
    return reference;
  }
}

function remembered<Key, Value>(map: Map<Key, Value>, key: Key, make: () => Value): Value {
  const found = map.get(key);
  if (found !== undefined) return found;
  const made = make();
  map.set(key, made);
  return made;
}

function hashOf(pairs: readonly PreferencePair[]): string {
  return sha256(Buffer.from(JSON.stringify(pairs.map(({ prompt, chosen, rejected }) => [prompt, chosen, rejected]))));
}
