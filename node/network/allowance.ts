/**
 * What one peer may use of us in a time: so many units, refilled steadily. Peers that have used nothing for long take
 * no memory.
 */
import { PrefmeshError } from '../../protocol/errors.ts';

interface Bucket {
  units: number;
  /** When `units` was right (ms). */
  at: number;
}

export interface AllowanceInit {
  /** Units that may be used at once. */
  readonly units: number;
  /** Milliseconds in which an empty allowance is full again. */
  readonly refill: number;
  /** Milliseconds on a clock that never goes back. */
  readonly now?: () => number;
}

export class Allowance {
  readonly #units: number;
  readonly #refill: number;
  readonly #now: () => number;
  readonly #buckets = new Map<string, Bucket>();

  constructor({ units, refill, now = () => performance.now() }: AllowanceInit) {
    this.#units = units;
    this.#refill = refill;
    this.#now = now;
  }

  /** Uses units, or refuses all of them. @throws RATE_LIMITED */
  use(peer: string, units = 1): void {
    const now = this.#now();
    const bucket = this.#buckets.get(peer) ?? { units: this.#units, at: now };
    bucket.units = Math.min(this.#units, bucket.units + ((now - bucket.at) / this.#refill) * this.#units);
    bucket.at = now;
    this.#buckets.delete(peer);
    this.#buckets.set(peer, bucket); // last in order of use
    this.#forgetFull(now);
    if (bucket.units < units) throw new PrefmeshError('RATE_LIMITED', { peer });
    bucket.units -= units;
  }

  /** Drops peers that have not used anything for a whole refill: theirs is full again. */
  #forgetFull(now: number): void {
    for (const [peer, { at }] of this.#buckets) {
      if (now - at < this.#refill) return;
      this.#buckets.delete(peer);
    }
  }
}
