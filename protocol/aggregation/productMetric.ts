/**
 * How large an update is by what it does to the model, and how far two are apart.
 *
 * A LoRA pair changes a weight by B·A, so the same change of B weighs more where A is large. With one factor the same
 * for all updates, lengths of products need no product: in a round that sends B, with A·Aᵀ = L·Lᵀ (Cholesky),
 *
 *   ‖(B_i − B_j)·A‖ = ‖(B_i − B_j)·L‖        and where A is sent, with Bᵀ·B = L·Lᵀ,   ‖B·(A_i − A_j)‖ = ‖Lᵀ·(A_i − A_j)‖
 *
 * (Frobenius norms). `whiten` does that multiplication by the r × r matrix L, tensor by tensor; after it, plain lengths
 * are lengths of products. An update of both factors changes the product in no such linear way: it is measured as it
 * is, which only the labelled baselines do.
 *
 * Everything is float64 with + − · / √ in a fixed order, hence the same on every machine.
 */
import type { TensorShape } from '../tensorBlob.ts';
import { valueCount } from '../tensorBlob.ts';
import { factorOfTensor } from '../update.ts';
import type { RuleInputs } from './rule.ts';

/** A pivot this small against the largest diagonal element counts as zero: the factor has a lower rank there. */
const SINGULAR = 1e-12;

export interface WhitenedTensor {
  /** Where the tensor's values begin in an update, and how many there are. */
  readonly start: number;
  readonly size: number;
  /** Vectors of `rank` values that L is applied to: rows of a B, columns of an A. */
  readonly vectors: number;
  readonly rank: number;
  /** Distance, within the tensor, from one value of a vector to the next, and from one vector to the next. */
  readonly step: number;
  readonly stride: number;
  /** L, `[rank, rank]` row-major, lower triangular; null for the identity. */
  readonly root: Float64Array | null;
}

/** The tensors of an update in order, each with what turns its lengths into lengths of products. */
export function whitenedTensors({ table, parent, factor }: RuleInputs): WhitenedTensor[] {
  const partners = factor === 'both' ? undefined : partnersOf(parent.table);
  let start = 0;
  return table.map((tensor) => {
    const size = valueCount(tensor);
    const [rows = 1, columns = size] = tensor.shape;
    const place = { start, size };
    start += size;
    const partner = partners?.get(otherFactor(tensor.name));
    if (partner === undefined) return { ...place, vectors: rows, rank: columns, step: 1, stride: columns, root: null };
    const scale = 2 ** -parent.bits;
    const values = parent.values.subarray(partner.start, partner.start + valueCount(partner.tensor));
    if (factor === 'B') {
      const root = cholesky(gramOfRows(values, partner.tensor.shape, scale), columns);
      return { ...place, vectors: rows, rank: columns, step: 1, stride: columns, root };
    }
    const root = cholesky(gramOfColumns(values, partner.tensor.shape, scale), rows);
    return { ...place, vectors: columns, rank: rows, step: columns, stride: 1, root };
  });
}

/**
 * One vector of a tensor times L: `out[j] = Σ_{i >= j} x[i] · L[i, j]`, where `x[i]` is `values[at + i · step]`.
 * `out` holds at least `rank` numbers.
 */
export function whitenVector(
  values: ArrayLike<number>,
  at: number,
  { rank, step, root }: WhitenedTensor,
  out: Float64Array,
): void {
  if (root === null) {
    for (let i = 0; i < rank; i++) out[i] = values[at + i * step]!;
    return;
  }
  for (let j = 0; j < rank; j++) {
    let sum = 0;
    for (let i = j; i < rank; i++) sum += values[at + i * step]! * root[i * rank + j]!;
    out[j] = sum;
  }
}

export interface Norms {
  /** Lengths of what the updates do to the products, in units of 2^-bits. */
  readonly product: Float64Array;
  /** Lengths of the updates as they are, in units of the integers. */
  readonly factor: Float64Array;
}

/** Both lengths of every update, in the order of the updates. One pass. */
export function normsOf(inputs: RuleInputs): Norms {
  const tensors = whitenedTensors(inputs).map((tensor) => ({
    ...tensor,
    columns: tensor.root && transposed(tensor.root, tensor.rank),
  }));
  const norms = { product: new Float64Array(inputs.count), factor: new Float64Array(inputs.count) };
  let n = 0;
  for (const values of inputs.updates) {
    let [product, factor] = [0, 0];
    for (const tensor of tensors) {
      const squares = squaredLengths(values, tensor);
      product += squares.product;
      factor += squares.factor;
    }
    norms.product[n] = Math.sqrt(product);
    norms.factor[n++] = Math.sqrt(factor);
  }
  return norms;
}

/** Of one tensor. Its own loop, not `whitenVector`'s: this is where a round of many updates spends its time. */
function squaredLengths(
  values: Int32Array,
  tensor: WhitenedTensor & { readonly columns: Float64Array | null },
): { product: number; factor: number } {
  const { start, size, vectors, rank, step, stride, columns } = tensor;
  let factor = 0;
  for (let at = start; at < start + size; at++) factor += values[at]! * values[at]!;
  if (columns === null) return { product: factor, factor };
  const x = new Float64Array(rank);
  let product = 0;
  for (let v = 0; v < vectors; v++) {
    const at = start + v * stride;
    for (let i = 0; i < rank; i++) x[i] = values[at + i * step]!;
    for (let j = 0; j < rank; j++) {
      const column = j * rank;
      let sum = 0;
      for (let i = j; i < rank; i++) sum += x[i]! * columns[column + i]!;
      product += sum * sum;
    }
  }
  return { product, factor };
}

function transposed(square: Float64Array, side: number): Float64Array {
  return Float64Array.from({ length: side * side }, (_, at) => square[(at % side) * side + Math.floor(at / side)]!);
}

function partnersOf(table: readonly TensorShape[]): Map<string, { tensor: TensorShape; start: number }> {
  const partners = new Map<string, { tensor: TensorShape; start: number }>();
  let start = 0;
  for (const tensor of table) {
    partners.set(tensor.name, { tensor, start });
    start += valueCount(tensor);
  }
  return partners;
}

function otherFactor(name: string): string {
  return factorOfTensor(name) === 'A' ? name.replace('.lora_A.', '.lora_B.') : name.replace('.lora_B.', '.lora_A.');
}

/** `A·Aᵀ` of `[rank, width]`. */
function gramOfRows(values: Int32Array, shape: readonly number[], scale: number): Float64Array {
  const [rank, width] = shape as [number, number];
  const gram = new Float64Array(rank * rank);
  for (let i = 0; i < rank; i++) {
    for (let j = 0; j <= i; j++) {
      let sum = 0;
      for (let k = 0; k < width; k++) sum += values[i * width + k]! * scale * (values[j * width + k]! * scale);
      gram[i * rank + j] = gram[j * rank + i] = sum;
    }
  }
  return gram;
}

/** `Bᵀ·B` of `[height, rank]`. */
function gramOfColumns(values: Int32Array, shape: readonly number[], scale: number): Float64Array {
  const [height, rank] = shape as [number, number];
  const gram = new Float64Array(rank * rank);
  for (let k = 0; k < height; k++) {
    for (let i = 0; i < rank; i++) {
      const value = values[k * rank + i]! * scale;
      for (let j = 0; j <= i; j++) gram[i * rank + j]! += value * (values[k * rank + j]! * scale);
    }
  }
  for (let i = 0; i < rank; i++) for (let j = 0; j < i; j++) gram[j * rank + i] = gram[i * rank + j]!;
  return gram;
}

/** The lower triangular L with `L·Lᵀ = gram`; a column of zeros where the matrix is singular. */
function cholesky(gram: Float64Array, rank: number): Float64Array {
  const root = new Float64Array(rank * rank);
  let largest = 0;
  for (let i = 0; i < rank; i++) largest = Math.max(largest, gram[i * rank + i]!);
  for (let j = 0; j < rank; j++) {
    let pivot = gram[j * rank + j]!;
    for (let k = 0; k < j; k++) pivot -= root[j * rank + k]! * root[j * rank + k]!;
    if (!(pivot > SINGULAR * largest)) continue;
    const diagonal = Math.sqrt(pivot);
    root[j * rank + j] = diagonal;
    for (let i = j + 1; i < rank; i++) {
      let sum = gram[i * rank + j]!;
      for (let k = 0; k < j; k++) sum -= root[i * rank + k]! * root[j * rank + k]!;
      root[i * rank + j] = sum / diagonal;
    }
  }
  return root;
}
