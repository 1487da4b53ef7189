/**
 * One line of progress for long work: what, how far, how fast, how long still.
 */
export interface ProgressOptions {
  /** What is being done, such as `training`. */
  readonly label: string;
  /** How many units there are in all; unknown when absent. */
  readonly total?: number;
  /** How many units were done before, by a run that this one goes on from; they took none of its time. */
  readonly from?: number;
  /** The unit counted, in the plural, such as `steps`. */
  readonly unit: string;
  /** Milliseconds now; the process clock when absent. */
  readonly now?: () => number;
}

const REDRAW_MS = 100;
const PLAIN_LINE_MS = 5_000;
/** The rate is that of this long, so that it follows work that becomes faster or slower. */
const WINDOW_MS = 30_000;
/** Slow work is judged by this many updates, however long they took. */
const FEWEST_SAMPLES = 5;

interface Sample {
  readonly at: number;
  readonly done: number;
}

export class Progress {
  readonly #stream: NodeJS.WriteStream;
  readonly #options: ProgressOptions;
  readonly #now: () => number;
  /** The latest updates, oldest first; the first is where the rate is measured from. */
  readonly #samples: Sample[];
  #lastShown = Number.NEGATIVE_INFINITY;
  #drawn = false;

  constructor(stream: NodeJS.WriteStream, options: ProgressOptions) {
    this.#stream = stream;
    this.#options = options;
    this.#now = options.now ?? (() => performance.now());
    this.#samples = [{ at: this.#now(), done: options.from ?? 0 }];
  }

  /** Shows that `done` units are done, with an optional note such as the loss. */
  update(done: number, note = ''): void {
    const now = this.#now();
    const rate = this.#rate({ at: now, done });
    const complete = done === this.#options.total;
    const interval = this.#stream.isTTY ? REDRAW_MS : PLAIN_LINE_MS;
    if (now - this.#lastShown < interval && !complete) return;
    this.#lastShown = now;
    const line = progressLine(this.#options, done, rate, note);
    if (this.#stream.isTTY) {
      const width = this.#stream.columns || 80;
      this.#stream.write(`\r\u001b[2K${line.slice(0, width - 1)}`);
      this.#drawn = true;
    } else {
      this.#stream.write(`${line}\n`);
    }
  }

  /** Units a second over the window that ends with `latest`, which is remembered. */
  #rate(latest: Sample): number {
    const samples = this.#samples;
    if (latest.at - samples.at(-1)!.at >= REDRAW_MS) samples.push(latest);
    while (samples.length > FEWEST_SAMPLES && samples[1]!.at <= latest.at - WINDOW_MS) samples.shift();
    const first = samples[0]!;
    const seconds = (latest.at - first.at) / 1000;
    return seconds > 0 ? (latest.done - first.done) / seconds : 0;
  }

  /** Leaves the line behind, so that what follows starts on its own. */
  end(): void {
    if (this.#drawn) this.#stream.write('\n');
    this.#drawn = false;
  }
}

/** `training  40/200 steps  12.5 steps/s  13 s left  loss 0.512`; `rate` is in units a second. */
export function progressLine(options: ProgressOptions, done: number, rate: number, note: string): string {
  const { label, total, unit } = options;
  const parts = [label, total === undefined ? `${done} ${unit}` : `${done}/${total} ${unit}`];
  if (rate > 0) parts.push(`${rate >= 100 ? rate.toFixed(0) : rate.toPrecision(3)} ${unit}/s`);
  if (rate > 0 && total !== undefined && done < total) parts.push(`${duration((total - done) / rate)} left`);
  if (note !== '') parts.push(note);
  return parts.join('  ');
}

/** Seconds as people say them: `8 s`, `3 min 20 s`, `2 h 5 min`. */
export function duration(seconds: number): string {
  const whole = Math.round(seconds);
  if (whole < 60) return `${whole} s`;
  if (whole < 3600) return `${Math.floor(whole / 60)} min ${whole % 60} s`;
  return `${Math.floor(whole / 3600)} h ${Math.floor((whole % 3600) / 60)} min`;
}
