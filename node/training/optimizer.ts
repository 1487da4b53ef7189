/**
 * AdamW on flat vectors (Loshchilov and Hutter 2019, "Decoupled weight decay regularization", algorithm 2), and
 * clipping by the global norm.
 *
 * Only the given ranges of the vector are read and changed; the rest, a frozen factor, stays bit for bit as it was.
 * Arithmetic is double, storage float32.
 */
export interface AdamWOptions {
  readonly beta1?: number;
  readonly beta2?: number;
  readonly epsilon?: number;
  /** Decay per step is learningRate · weightDecay. */
  readonly weightDecay?: number;
}

/** Half-open range of indices of a flat vector. */
export interface VectorRange {
  readonly start: number;
  readonly end: number;
}

/** What an interrupted run needs in order to go on as if it had not been. */
export interface AdamWState {
  readonly firstMoment: Float32Array;
  readonly secondMoment: Float32Array;
  /** Updates made so far. */
  readonly step: number;
}

export class AdamW {
  readonly #firstMoment: Float32Array;
  readonly #secondMoment: Float32Array;
  readonly #beta1: number;
  readonly #beta2: number;
  readonly #epsilon: number;
  readonly #weightDecay: number;
  #step: number;

  constructor(length: number, options: AdamWOptions = {}, resumed?: AdamWState) {
    this.#beta1 = options.beta1 ?? 0.9;
    this.#beta2 = options.beta2 ?? 0.999;
    this.#epsilon = options.epsilon ?? 1e-8;
    this.#weightDecay = options.weightDecay ?? 0;
    this.#firstMoment = resumed?.firstMoment.slice() ?? new Float32Array(length);
    this.#secondMoment = resumed?.secondMoment.slice() ?? new Float32Array(length);
    this.#step = resumed?.step ?? 0;
  }

  /** The live moments, not copies. */
  get state(): AdamWState {
    return { firstMoment: this.#firstMoment, secondMoment: this.#secondMoment, step: this.#step };
  }

  /** Updates `parameters` in place within the ranges. */
  update(
    parameters: Float32Array,
    gradient: Float32Array,
    learningRate: number,
    ranges: readonly VectorRange[] = [{ start: 0, end: parameters.length }],
  ): void {
    this.#step++;
    const [m, v, beta1, beta2, epsilon] = [
      this.#firstMoment,
      this.#secondMoment,
      this.#beta1,
      this.#beta2,
      this.#epsilon,
    ];
    const kept = 1 - learningRate * this.#weightDecay;
    const rate = learningRate / (1 - beta1 ** this.#step);
    const secondScale = 1 / Math.sqrt(1 - beta2 ** this.#step);
    for (const { start, end } of ranges) {
      for (let i = start; i < end; i++) {
        const g = gradient[i]!;
        const mean = beta1 * m[i]! + (1 - beta1) * g;
        const square = beta2 * v[i]! + (1 - beta2) * g * g;
        m[i] = mean;
        v[i] = square;
        parameters[i] = parameters[i]! * kept - (rate * mean) / (Math.sqrt(square) * secondScale + epsilon);
      }
    }
  }
}

/** L2 norm over the ranges, summed in double. */
export function globalNorm(
  vector: Float32Array,
  ranges: readonly VectorRange[] = [{ start: 0, end: vector.length }],
): number {
  let sum = 0;
  for (const { start, end } of ranges) for (let i = start; i < end; i++) sum += vector[i]! * vector[i]!;
  return Math.sqrt(sum);
}

/** Scales `gradient` in place so that its norm, `norm`, is at most `maxNorm` (as PyTorch's clip_grad_norm_). */
export function clipGradient(gradient: Float32Array, norm: number, maxNorm: number): void {
  const scale = maxNorm / (norm + 1e-6);
  if (scale >= 1) return;
  for (let i = 0; i < gradient.length; i++) gradient[i] = gradient[i]! * scale;
}
