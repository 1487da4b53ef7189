/**
 * Measuring adapters on the federation's two fixed sets: the evaluation set, whose figures are reported, and the root
 * set, whose figures decide whether a round is published.
 *
 * Figures are against the bare base model, asked once; those of an adapter are kept in the ledger, so that the parent
 * of a round is not measured again.
 */
import { preferenceFigures } from '../node/evaluation/preferenceAccuracy.ts';
import type { PairLogProbs } from '../node/evaluation/preferenceAccuracy.ts';
import type { Proportion } from '../node/evaluation/intervals.ts';
import type { PairsFile } from '../node/participant/pairsFile.ts';
import type { Policy, TokenizedPair } from '../node/training/policy.ts';
import type { AdapterVectorEntry } from '../node/training/adapterVector.ts';
import { referenceLogProbs } from '../node/training/referenceCache.ts';
import type { BlobStore } from '../node/storage/blobs.ts';
import type { EvaluationFigures, SetFigures } from '../protocol/figures.ts';
import type { Manifest } from '../protocol/manifest.ts';
import type { Sha256 } from '../protocol/names.ts';
import { decodeBlob } from '../protocol/tensorBlob.ts';
import { dequantize } from '../protocol/update.ts';
import type { Ledger } from './ledger.ts';
import type { EvaluateEffect } from './rounds.ts';

/** One of the two sets, as tokens. */
export interface MeasuredSet {
  readonly sha256: Sha256;
  readonly pairs: readonly TokenizedPair[];
  /** `metadata.taste` of each pair; absent where one has none. */
  readonly tastes?: readonly string[];
}

/** An adapter on one set. */
export interface SetMeasurement {
  readonly figures: SetFigures;
  readonly accuracy: Proportion;
  readonly byTaste: Readonly<Record<string, Proportion>>;
}

export interface MeasurementComponents {
  readonly manifest: Manifest;
  readonly policy: Policy;
  readonly table: readonly AdapterVectorEntry[];
  readonly blobs: BlobStore;
  readonly ledger: Ledger;
  readonly evaluationSet: MeasuredSet;
  readonly rootSet: MeasuredSet;
  readonly device: string;
  /** Where the base model's figures are kept between starts. */
  readonly cacheFolder: string;
}

export class Measurement {
  readonly #components: MeasurementComponents;
  readonly #base = new Map<Sha256, PairLogProbs>();

  constructor(components: MeasurementComponents) {
    this.#components = components;
  }

  /** The figures of a round. Throws LOG_PROBS_NOT_FINITE. */
  async ofRound({ candidate, parent }: EvaluateEffect, signal?: AbortSignal): Promise<EvaluationFigures> {
    const { evaluationSet, rootSet } = this.#components;
    const rootParent = await this.of(parent, rootSet, signal);
    const root = await this.of(candidate, rootSet, signal);
    const evaluation = await this.of(candidate, evaluationSet, signal);
    return { evaluation: evaluation.figures, root: root.figures, rootParent: rootParent.figures, winRate: null };
  }

  /** What was measured of an adapter on the evaluation set, if it was. */
  known(adapter: Sha256): SetMeasurement | undefined {
    const { ledger, evaluationSet } = this.#components;
    return ledger.figures<SetMeasurement>(adapter, evaluationSet.sha256);
  }

  /** Perplexity of the evaluation set's chosen answers under the bare base. */
  async basePerplexity(signal?: AbortSignal): Promise<number> {
    const { evaluationSet, manifest } = this.#components;
    const base = await this.#baseOf(evaluationSet, signal);
    return preferenceFigures(base, base, manifest.training.beta).perplexity;
  }

  /** An adapter on a set, measured or remembered. Throws LOG_PROBS_NOT_FINITE. */
  async of(adapter: Sha256, set: MeasuredSet, signal?: AbortSignal): Promise<SetMeasurement> {
    const { manifest, policy, table, blobs, ledger } = this.#components;
    const known = ledger.figures<SetMeasurement>(adapter, set.sha256);
    if (known !== undefined) return known;
    const base = await this.#baseOf(set, signal);
    const vector = dequantize(decodeBlob(await blobs.read(adapter)), table, policy.parameterCount);
    const logProbs = await policy.logProbs(set.pairs, vector, signal ? { signal } : {});
    const { accuracy, meanMargin, perplexity, byGroup } = preferenceFigures(logProbs, base, manifest.training.beta, {
      ids: set.pairs.map(({ id }) => id),
      ...(set.tastes && { groups: set.tastes }),
    });
    const { n: pairs, ties, value } = accuracy;
    const correct = Math.round(value * pairs - ties / 2);
    const measured = {
      figures: { pairs, correct, ties, meanMargin, perplexity },
      accuracy,
      byTaste: byGroup ?? {},
    };
    ledger.storeFigures(adapter, set.sha256, measured);
    return measured;
  }

  async #baseOf(set: MeasuredSet, signal?: AbortSignal): Promise<PairLogProbs> {
    let base = this.#base.get(set.sha256);
    if (base === undefined) {
      const { manifest, policy, device, cacheFolder } = this.#components;
      const identity = { base: manifest.base.hash, adapter: null, device };
      const logProbs = await referenceLogProbs(policy, set.pairs, identity, { cacheFolder, ...(signal && { signal }) });
      base = { ...logProbs, chosenTokens: set.pairs.map(({ chosen }) => chosen.length) };
      this.#base.set(set.sha256, base);
    }
    return base;
  }
}

/** The tastes of a set's pairs, in the order of `tokens`; undefined unless every pair has one. */
export function tastesOf({ pairs }: PairsFile, tokens: readonly TokenizedPair[]): string[] | undefined {
  const tasteOf = new Map(pairs.map(({ id, metadata }) => [id, metadata?.taste]));
  const tastes = tokens.map(({ id }) => tasteOf.get(id));
  return tastes.every((taste) => typeof taste === 'string') ? tastes : undefined;
}
