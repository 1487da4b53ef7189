/**
 * The preference losses, each one line of mathematics over the same primitive: the log-probabilities of a pair's
 * completion tokens under policy and reference, in nats.
 *
 * Per pair, c and r are the log-ratios `log π / π_ref` of chosen and rejected answer: sums over their tokens, or, for
 * the losses marked `averaged`, means over them. Δ = c - r is the margin. The names say which formula; where public
 * trainers use one name for two formulas, or two names for one, `docs/reference/losses.md` has the table.
 */
import type { LossName } from '../../protocol/trainingTerms.ts';
import { FLOAT64, type Arithmetic } from './lossArithmetic.ts';

export { LOSS_NAMES, SMOOTHED_LOSSES, type LossName } from '../../protocol/trainingTerms.ts';

interface Ratios<Quantity> {
  readonly chosen: Quantity;
  readonly rejected: Quantity;
}

/** A loss of one pair. `beta` is β, `smoothing` ε. */
interface PreferenceLoss {
  /** Whether the ratios are divided by the answers' token counts. */
  readonly averaged: boolean;
  /** β where none is given. */
  readonly beta: number;
  readonly of: <Q>(on: Arithmetic<Q>, ratios: Ratios<Q>, beta: Q, smoothing: Q) => Q;
}

const margin = <Q>(on: Arithmetic<Q>, { chosen, rejected }: Ratios<Q>): Q => on.subtract(chosen, rejected);

/** `-log σ(βΔ)`. */
const rightOrder = <Q>(on: Arithmetic<Q>, ratios: Ratios<Q>, beta: Q): Q =>
  on.softplus(on.negate(on.multiply(beta, margin(on, ratios))));

/** `-log σ(-βΔ)`: the loss had the label been the other way round. */
const wrongOrder = <Q>(on: Arithmetic<Q>, ratios: Ratios<Q>, beta: Q): Q =>
  on.softplus(on.multiply(beta, margin(on, ratios)));

export const LOSSES = {
  /** `-log σ(βΔ)`: DPO, Rafailov et al. 2023, equation 7. */
  sigmoid: { averaged: false, beta: 0.1, of: rightOrder },

  /** `-(1-ε) log σ(βΔ) - ε log σ(-βΔ)`: conservative DPO, Mitchell 2023, for labels wrong with probability ε. */
  cdpo: {
    averaged: false,

    beta: 0.1,
    of: (on, ratios, beta, smoothing) =>
      on.add(
        on.multiply(on.subtract(on.constant(1), smoothing), rightOrder(on, ratios, beta)),
        on.multiply(smoothing, wrongOrder(on, ratios, beta)),
      ),
  },

  /**
   * `[-(1-ε) log σ(βΔ) + ε log σ(-βΔ)] / (1-2ε)`: Chowdhury et al. 2024, equation 12. Its mean over labels flipped
   * with probability ε is the loss on clean ones; for the same reason it may be negative.
   */
  robust: {
    averaged: false,

    beta: 0.1,
    of: (on, ratios, beta, smoothing) =>
      on.divide(
        on.subtract(
          on.multiply(on.subtract(on.constant(1), smoothing), rightOrder(on, ratios, beta)),
          on.multiply(smoothing, wrongOrder(on, ratios, beta)),
        ),
        on.subtract(on.constant(1), on.multiply(on.constant(2), smoothing)),
      ),
  },

  /** `(Δ - 1/(2β))²` with mean ratios: IPO, Azar et al. 2023, equation 17, averaged over tokens as TRL has it. */
  ipo: {
    averaged: true,

    beta: 0.1,
    of: (on, ratios, beta) => {
      const target = on.divide(on.constant(0.5), beta);
      const distance = on.subtract(margin(on, ratios), target);
      return on.multiply(distance, distance);
    },
  },

  /** `max(0, 1 - βΔ)`: the hinge of SLiC, Zhao et al. 2023, on DPO's margin; Liu et al. 2023 (RSO), section 3. */
  hinge: {
    averaged: false,

    beta: 0.1,
    of: (on, ratios, beta) => on.relu(on.subtract(on.constant(1), on.multiply(beta, margin(on, ratios)))),
  },

  /** `1 - σ(βc) + σ(βr)`: APO-zero, D'Oosterlinck et al. 2024: raises the chosen answer and lowers the rejected. */
  apo_zero: {
    averaged: false,

    beta: 0.1,
    of: (on, { chosen, rejected }, beta) =>
      on.add(
        on.subtract(on.constant(1), on.sigmoid(on.multiply(beta, chosen))),
        on.sigmoid(on.multiply(beta, rejected)),
      ),
  },

  /** `-log σ(βΔ)` with mean ratios: length-normalised DPO, Lambert et al. 2024 (Tülu 3), section 5.1.2. */
  sigmoid_norm: { averaged: true, beta: 5, of: rightOrder },
} as const satisfies Record<LossName, PreferenceLoss>;

/** What is minimised: the mean of the loss over the pairs, plus `sftWeight` times the `chosenLoss` of `BatchLoss`. */
export interface LossTerms {
  readonly loss: LossName;
  /** How strongly the reference holds, β. */
  readonly beta: number;
  /** ε in [0, 0.5), for the `SMOOTHED_LOSSES`; 0 when absent. */
  readonly labelSmoothing?: number | null | undefined;
  /** Weight γ of the SFT term; 0 when absent. */
  readonly sftWeight?: number | null | undefined;
}

/** For people: `cdpo, beta 0.1, label smoothing 0.1`. */
export function lossText({ loss, beta, labelSmoothing, sftWeight }: LossTerms): string {
  const smoothing = labelSmoothing ? `, label smoothing ${labelSmoothing}` : '';
  return `${loss}, beta ${beta}${smoothing}${sftWeight ? `, SFT weight ${sftWeight}` : ''}`;
}

/** The loss `name`, as the interface it satisfies. */
export function lossNamed(name: LossName): PreferenceLoss {
  return LOSSES[name];
}

/** The preference loss of one pair in float64, from the summed log-ratios and the answers' token counts. */
export function pairLoss(terms: LossTerms, ratios: Ratios<number>, tokens: Ratios<number>): number {
  const { averaged, of } = lossNamed(terms.loss);
  const used = averaged
    ? { chosen: ratios.chosen / tokens.chosen, rejected: ratios.rejected / tokens.rejected }
    : ratios;
  return of(FLOAT64, used, terms.beta, terms.labelSmoothing ?? 0);
}

/** What `batchLoss` gives, in nats. */
export interface BatchLoss {
  /** The whole of what is minimised. */
  readonly loss: number;
  /**
   * Mean negative log-likelihood over all tokens of all chosen answers: the SFT term before its weight. Every token
   * weighs the same, so long answers weigh more.
   */
  readonly chosenLoss: number;
}

/** The loss of a batch in float64, from summed log-probabilities in nats, `[pairs]` each. */
export function batchLoss(
  terms: LossTerms,
  pairs: readonly Ratios<{ readonly length: number }>[],
  policy: Ratios<ArrayLike<number>>,
  reference: Ratios<ArrayLike<number>>,
): BatchLoss {
  let [losses, likelihood, tokens] = [0, 0, 0];
  for (const [i, { chosen, rejected }] of pairs.entries()) {
    const ratios = {
      chosen: policy.chosen[i]! - reference.chosen[i]!,
      rejected: policy.rejected[i]! - reference.rejected[i]!,
    };
    losses += pairLoss(terms, ratios, { chosen: chosen.length, rejected: rejected.length });
    likelihood += policy.chosen[i]!;
    tokens += chosen.length;
  }
  const chosenLoss = -likelihood / tokens;
  return { loss: losses / pairs.length + (terms.sftWeight ?? 0) * chosenLoss, chosenLoss };
}
