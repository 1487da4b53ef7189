/**
 * The best low-rank factors of a sum of low-rank products, without ever forming a product.
 *
 * With all left factors side by side, `Bc = [B_1 … B_N]`, and all right factors below one another, the sum is `Bc · Ac`.
 * Orthogonalise both, `Bc = Q_b R_b` and `Acᵀ = Q_a R_a`; the sum is then `Q_b (R_b R_aᵀ) Q_aᵀ`, and the singular values
 * of the small core `R_b R_aᵀ` are those of the whole. Takes (m + n) k² + k³ steps for k columns in all, and memory for
 * (m + n) k numbers.
 *
 * Matrices are arrays of columns, float64. Only + − · / √ in a fixed order: the same bits on every machine.
 */

export type Columns = readonly Float64Array[];

export interface LowRank {
  /** `[rank]` columns of length m, and `[rank]` rows of length n: their product is the best approximation. */
  readonly left: Float64Array[];
  readonly right: Float64Array[];
  /** The sum of all squared singular values, and of those that the rank leaves out. */
  readonly energy: number;
  readonly truncated: number;
}

/** Singular values below this share of the largest are rounding, not signal. */
const NEGLIGIBLE = 1e-12;

/** The best approximation of rank at most `rank` to `Σ left_i · right_iᵀ`. Directions without a share are zero. */
export function bestLowRank(left: Columns, right: Columns, rank: number): LowRank {
  const [m, n] = [left[0]!.length, right[0]!.length];
  const [b, a] = [orthogonalised(left), orthogonalised(right)];
  const core = coreOf(b.triangle, a.triangle);
  // One-sided Jacobi makes the core's columns orthogonal by rotations from the right: they become u_j · σ_j.
  const rotated = core.map((column) => column.slice());
  orthogonalise(rotated);
  const values = rotated.map((column) => Math.sqrt(product(column, column)));
  const order = Array.from(values.keys()).sort((i, j) => values[j]! - values[i]! || i - j);
  const largest = values[order[0]!]!;
  const kept = order.slice(0, rank).filter((i) => values[i]! > NEGLIGIBLE * largest);

  const result: LowRank = {
    left: Array.from({ length: rank }, () => new Float64Array(m)),
    right: Array.from({ length: rank }, () => new Float64Array(n)),
    ...energies(values, order, rank),
  };
  for (const [k, i] of kept.entries()) {
    const value = values[i]!;
    const direction = rotated[i]!.map((entry) => entry / value);
    combine(b.basis, direction, Math.sqrt(value), result.left[k]!);
    // v · √σ = coreᵀ · u / √σ
    const other = core.map((column) => product(column, direction));
    combine(a.basis, Float64Array.from(other), 1 / Math.sqrt(value), result.right[k]!);
    if (signOf(result.left[k]!) < 0) {
      negate(result.left[k]!);
      negate(result.right[k]!);
    }
  }
  return result;
}

/** Orthonormal columns, and the upper triangular matrix, by its columns, that gives the given ones back. */
function orthogonalised(columns: Columns): { basis: Float64Array[]; triangle: Float64Array[] } {
  const basis: Float64Array[] = [];
  const triangle = columns.map((column, j) => {
    const rest = column.slice();
    const coefficients = new Float64Array(columns.length);
    // Gram and Schmidt's way, twice: the second time takes away what rounding left of the first.
    for (let pass = 0; pass < 2; pass++) {
      for (const [i, unit] of basis.entries()) {
        const share = product(unit, rest);
        coefficients[i]! += share;
        for (let k = 0; k < rest.length; k++) rest[k]! -= share * unit[k]!;
      }
    }
    const length = Math.sqrt(product(rest, rest));
    const dependent = length <= NEGLIGIBLE * Math.sqrt(product(column, column));
    coefficients[j] = dependent ? 0 : length;
    basis.push(dependent ? new Float64Array(column.length) : rest.map((value) => value / length));
    return coefficients;
  });
  return { basis, triangle };
}

/** `R_b · R_aᵀ`, by columns: column j is `Σ_i R_b[:, i] · R_a[j, i]`. */
function coreOf(left: Columns, right: Columns): Float64Array[] {
  const size = left.length;
  return Array.from({ length: size }, (_, j) => {
    const column = new Float64Array(size);
    for (let i = j; i < size; i++) {
      const factor = right[i]![j]!;
      if (factor === 0) continue;
      for (let k = 0; k <= i; k++) column[k]! += left[i]![k]! * factor;
    }
    return column;
  });
}

const SWEEPS = 40;
/** Columns whose cosine is below this count as orthogonal. */
const ORTHOGONAL = 1e-15;

/** Rotates pairs of columns until all are orthogonal (Hestenes 1958). */
function orthogonalise(columns: Float64Array[]): void {
  for (let sweep = 0; sweep < SWEEPS; sweep++) {
    let rotations = 0;
    for (let i = 0; i < columns.length; i++) {
      for (let j = i + 1; j < columns.length; j++) if (rotate(columns[i]!, columns[j]!)) rotations++;
    }
    if (rotations === 0) return;
  }
}

/** Makes two columns orthogonal, if they are not yet. */
function rotate(x: Float64Array, y: Float64Array): boolean {
  const [xx, yy, xy] = [product(x, x), product(y, y), product(x, y)];
  if (!(Math.abs(xy) > ORTHOGONAL * Math.sqrt(xx * yy))) return false;
  const zeta = (yy - xx) / (2 * xy);
  const tangent = (zeta < 0 ? -1 : 1) / (Math.abs(zeta) + Math.sqrt(1 + zeta * zeta));
  const cosine = 1 / Math.sqrt(1 + tangent * tangent);
  const sine = cosine * tangent;
  for (let k = 0; k < x.length; k++) {
    const value = x[k]!;
    x[k] = cosine * value - sine * y[k]!;
    y[k] = sine * value + cosine * y[k]!;
  }
  return true;
}

function energies(
  values: readonly number[],
  order: readonly number[],
  rank: number,
): Pick<LowRank, 'energy' | 'truncated'> {
  let [energy, truncated] = [0, 0];
  for (const [k, i] of order.entries()) {
    const square = values[i]! * values[i]!;
    energy += square;
    if (k >= rank) truncated += square;
  }
  return { energy, truncated };
}

/** `out = scale · Σ_i coefficients[i] · basis[i]`. */
function combine(basis: Columns, coefficients: Float64Array, scale: number, out: Float64Array): void {
  for (const [i, unit] of basis.entries()) {
    const factor = coefficients[i]! * scale;
    if (factor === 0) continue;
    for (let k = 0; k < out.length; k++) out[k]! += factor * unit[k]!;
  }
}

/** The sign of the entry of largest magnitude, the first on a tie: fixes which of two equal answers is given. */
function signOf(column: Float64Array): number {
  let found = 0;
  for (const value of column) if (Math.abs(value) > Math.abs(found)) found = value;
  return found < 0 ? -1 : 1;
}

function negate(column: Float64Array): void {
  for (let k = 0; k < column.length; k++) column[k] = -column[k]!;
}

function product(x: Float64Array, y: Float64Array): number {
  let sum = 0;
  for (let k = 0; k < x.length; k++) sum += x[k]! * y[k]!;
  return sum;
}
