/**
 * SVD: every round trains and sends both factors; the mean of the products B_i·A_i is taken exactly and factored again
 * into the rank there is, which is the best that this rank can do.
 *
 * Not linear, twice the traffic, and (rank · updates)³ steps for every module: for adapters of mixed ranks on disk, and
 * to compare with. All modules of the updates are held at once.
 *
 * Source: FlexLoRA, Bai et al. 2024, "Federated fine-tuning of large language models under heterogeneous tasks and
 * client resources" (arXiv 2402.11505).
 */
import { PrefmeshError } from '../errors.ts';
import { LIMITS } from '../limits.ts';
import { LARGEST_VALUE, valueCount, type TensorShape } from '../tensorBlob.ts';
import { bestLowRank } from './lowRank.ts';
import { roundHalfAwayFromZero } from './rounding.ts';
import { one, type AggregationRule, type RuleInputs } from './rule.ts';

/** The rank that is kept; what the adapter has beyond it becomes zero. */
export const KEPT_RANK = { name: 'rank', min: 1, max: LIMITS.rank.value, default: LIMITS.rank.value } as const;

export const svd: AggregationRule = {
  label: 'the exact mean of the products, factored again; slow with many updates',
  factorOf: () => 'both',
  parameters: [KEPT_RANK],
  fewest: one,
  aggregate(inputs) {
    const values = new Int32Array(inputs.length);
    const updates = Array.from(inputs.updates);
    let [energy, lost] = [0, 0];
    for (const pair of pairsOf(inputs.table)) {
      const { truncated, total } = refactor(pair, updates, inputs, values);
      energy += total;
      lost += truncated;
    }
    return { values, truncatedEnergy: energy === 0 ? 0 : lost / energy };
  },
};

interface Placed {
  readonly tensor: TensorShape;
  readonly start: number;
}

interface FactorPair {
  /** `[rank, n]` and `[m, rank]`. */
  readonly a: Placed;
  readonly b: Placed;
}

function pairsOf(table: readonly TensorShape[]): FactorPair[] {
  const placed = new Map<string, Placed>();
  let start = 0;
  for (const tensor of table) {
    placed.set(tensor.name, { tensor, start });
    start += valueCount(tensor);
  }
  return [...placed.values()]
    .filter(({ tensor }) => tensor.name.includes('.lora_A.'))
    .map((a) => {
      const name = a.tensor.name.replace('.lora_A.', '.lora_B.');
      const b = placed.get(name);
      if (b === undefined) throw new PrefmeshError('WRONG_TENSOR_TABLE', { problem: `there is no ${name}` });
      return { a, b };
    });
}

/** Writes the change of one pair of factors into `values`. Energies are squared singular values. */
function refactor(
  { a, b }: FactorPair,
  updates: readonly Int32Array[],
  { parent, parameters }: RuleInputs,
  values: Int32Array,
): { truncated: number; total: number } {
  const [rank, n] = a.tensor.shape as [number, number];
  const [m] = b.tensor.shape as [number];
  const scale = 2 ** -parent.bits;
  const [left, right]: [Float64Array[], Float64Array[]] = [[], []];
  for (const update of updates) {
    for (let k = 0; k < rank; k++) {
      left.push(
        Float64Array.from({ length: m }, (_, i) => {
          const at = b.start + i * rank + k;
          return ((parent.values[at]! + update[at]!) * scale) / updates.length;
        }),
      );
      right.push(
        Float64Array.from({ length: n }, (_, i) => {
          const at = a.start + k * n + i;
          return (parent.values[at]! + update[at]!) * scale;
        }),
      );
    }
  }
  const kept = Math.min(rank, Math.floor(parameters[KEPT_RANK.name]!));
  const best = bestLowRank(left, right, kept);
  const put = (at: number, value: number) => {
    const rounded = roundHalfAwayFromZero(value / scale) - parent.values[at]!;
    if (Math.abs(rounded) > LARGEST_VALUE) {
      throw new PrefmeshError('OUT_OF_RANGE', { tensor: a.tensor.name, bits: parent.bits });
    }
    values[at] = rounded;
  };
  for (let k = 0; k < rank; k++) {
    const [column, row] = [best.left[k], best.right[k]];
    const used = column?.some((value) => value !== 0) ?? false;
    for (let i = 0; i < m; i++) put(b.start + i * rank + k, used ? column![i]! : 0);
    // A direction that no product uses keeps its A: with both factors zero it could never learn again.
    for (let i = 0; i < n; i++) if (used || k >= kept) put(a.start + k * n + i, used ? row![i]! : 0);
  }
  return { truncated: best.truncated, total: best.energy };
}
