/**
 * What a new token sees of the key-value cache, row by row: the tokens before it, or the last of them where a layer has
 * a sliding window. Padding and what is not yet written are masked.
 */
import { MASKED } from '../engine/composites/attention.ts';
import type { ModelConfig } from './config.ts';
import { exceedsWindow } from './layerMasks.ts';

export class CacheMasks {
  /** `[rows, context]` each, 0 where a token is seen: of layers that see everything, and of those with a window. */
  readonly #whole: Float32Array;
  /** Absent where no layer's window is shorter than the context. */
  readonly #windowed: Float32Array | undefined;
  readonly #context: number;
  readonly #window: number;

  /** For rows that hold so many tokens each; rows beyond them are padding. */
  constructor(config: ModelConfig, lengths: readonly number[], rows: number, context: number) {
    const masked = () => new Float32Array(rows * context).fill(MASKED);
    this.#context = context;
    this.#window = config.slidingWindow?.tokens ?? context;
    this.#whole = masked();
    this.#windowed = exceedsWindow(config, context) ? masked() : undefined;
    for (const [row, length] of lengths.entries()) {
      const start = row * context;
      this.#whole.fill(0, start, start + length);
      this.#windowed?.fill(0, start + Math.max(0, length + 1 - this.#window), start + length);
    }
  }

  /** The inputs of `tokenGraph`. */
  get feeds(): Record<string, Float32Array> {
    return { mask: this.#whole, ...(this.#windowed && { windowMask: this.#windowed }) };
  }

  /** A row now holds `length` tokens, one more than before. */
  extend(row: number, length: number): void {
    const start = row * this.#context;
    this.#whole[start + length - 1] = 0;
    if (this.#windowed === undefined) return;
    this.#windowed[start + length - 1] = 0;
    if (length >= this.#window) this.#windowed[start + length - this.#window] = MASKED;
  }
}
