/**
 * A stand-in for training, small enough that a thousand participants do it in no time: there is an adapter that would
 * please everybody, each participant's pairs pull towards it with an error of its own, and accuracy falls with the
 * distance from it.
 *
 * It makes the damage of an attack visible and comparable. It is no model of language: what a rule is worth on a real
 * one is measured in docs/reference/robustness.md.
 *
 * Only + − × ÷ and square roots, which are the same on every machine.
 */
import type { EvaluationFigures, SetFigures } from '../../protocol/figures.ts';
import type { Factor } from '../../protocol/messages.ts';
import { decodeBlob, encodeBlob, valueCount } from '../../protocol/tensorBlob.ts';
import type { FixedPointTensors, TensorShape } from '../../protocol/tensorBlob.ts';
import { factorTable, quantize } from '../../protocol/update.ts';
import type { VectorEntry } from '../../protocol/update.ts';
import { RandomStream } from '../../node/training/randomStream.ts';
import { withinNorm } from '../../node/participant/roundWork.ts';

export const BITS = 20;
export const NORM_BOUND = 8;
export const SET_PAIRS = 1_000;

/** One LoRA pair of rank 2. */
const LAYER = 'base_model.model.model.layers.0.self_attn.q_proj';
const SHAPES: readonly TensorShape[] = [
  { name: `${LAYER}.lora_A.weight`, shape: [2, 6] },
  { name: `${LAYER}.lora_B.weight`, shape: [8, 2] },
];
export const TABLE: readonly VectorEntry[] = SHAPES.map((tensor, i) => ({
  ...tensor,
  offset: i === 0 ? 0 : valueCount(SHAPES[0]!),
}));
const LENGTH = SHAPES.reduce((total, tensor) => total + valueCount(tensor), 0);

/** The adapter that round 1 starts from: A random, B zero. It belongs to the federation, not to the seed. */
export const INITIAL: FixedPointTensors = initialAdapter();
export const INITIAL_BLOB: Uint8Array = encodeBlob(INITIAL);

/** How far towards the best adapter one round's training goes. */
const STRIDE = 0.5;
/** Size of a participant's own error in one coordinate, in units of the weights. */
const ERROR = 0.1;
/** Distance at which accuracy has lost half of what it can. */
const HALF = 1.5;
const [WORST, BEST] = [0.5, 0.95];

export class Learning {
  readonly #best: Float32Array;
  readonly #seed: number;

  constructor(seed: number) {
    this.#seed = seed;
    const random = new RandomStream('simulation', seed, 'best adapter');
    this.#best = Float32Array.from({ length: LENGTH }, (_, i) => weights(INITIAL)[i]! + bell(random) / 2);
  }

  /** The update that a participant's training gives. The same arguments give the same update. */
  update(participant: string, round: number, factor: Factor, parent: FixedPointTensors): FixedPointTensors {
    const random = new RandomStream('simulation', this.#seed, 'training', participant, round);
    const from = weights(parent);
    const delta = this.#best.map((best, i) => STRIDE * (best - from[i]!) + ERROR * bell(random));
    const sent = factorTable(SHAPES, factor);
    const entries = TABLE.filter(({ name }) => sent.some((tensor) => tensor.name === name));
    return withinNorm(quantize(delta, entries, BITS), NORM_BOUND);
  }

  /** Preference accuracy that an adapter has, between 0 and 1. */
  accuracy(adapter: FixedPointTensors): number {
    const from = weights(adapter);
    let squares = 0;
    for (const [i, best] of this.#best.entries()) squares += (best - from[i]!) ** 2;
    return WORST + (BEST - WORST) / (1 + squares / (HALF * HALF));
  }

  figures(candidate: Uint8Array, parent: Uint8Array): EvaluationFigures {
    const of = (blob: Uint8Array): SetFigures => {
      const correct = Math.round(this.accuracy(decodeBlob(blob)) * SET_PAIRS);
      return { pairs: SET_PAIRS, correct, ties: 0, meanMargin: correct / SET_PAIRS - 0.5, perplexity: 4 };
    };
    return { evaluation: of(candidate), root: of(candidate), rootParent: of(parent), winRate: null };
  }
}

function weights({ values, bits }: FixedPointTensors): Float32Array {
  return Float32Array.from(values, (value) => value * 2 ** -bits);
}

/** Roughly normal, variance 1: twelve uniform numbers. */
export function bell(random: RandomStream): number {
  let sum = -6;
  for (let i = 0; i < 12; i++) sum += random.uniform();
  return sum;
}

function initialAdapter(): FixedPointTensors {
  const random = new RandomStream('simulation', 'initial adapter');
  const countA = valueCount(SHAPES[0]!);
  const vector = Float32Array.from({ length: LENGTH }, (_, i) => (i < countA ? bell(random) / 2 : 0));
  return quantize(vector, TABLE, BITS);
}
