/**
 * Simulated time: a queue of what happens when. Time stands still while anything is left to do and then jumps to the
 * next event, so a week passes in a second and nothing ever sleeps.
 *
 * The code that runs on it is the asynchronous code of a node. Its promises settle in an order that the language fixes,
 * and after each event the queue waits until none is left that could; so one seed has one history.
 */

interface Entry {
  readonly at: number;
  readonly order: number;
  run: (() => void) | null;
}

/** How many events pass before the process may look at its signals. */
const EVENTS_A_TURN = 2_000;

export class Schedule {
  #now: number;
  #order = 0;
  /** A binary heap by time, and by order of arrival within one moment. */
  readonly #heap: Entry[] = [];

  /** @param start milliseconds since 1970 */
  constructor(start: number) {
    this.#now = start;
  }

  /** Milliseconds since 1970, fractions included. */
  get now(): number {
    return this.#now;
  }

  /** Runs something at a time, or now if that is past, unless disposed before. */
  at(time: number, run: () => void): Disposable {
    const entry: Entry = { at: Math.max(time, this.#now), order: this.#order++, run };
    this.#push(entry);
    return { [Symbol.dispose]: () => void (entry.run = null) };
  }

  after(wait: number, run: () => void): Disposable {
    return this.at(this.#now + wait, run);
  }

  /** Lets time pass until `over` holds, nothing is left to happen, or the signal aborts, whose reason it throws. */
  async run(over: () => boolean, signal?: AbortSignal): Promise<void> {
    await settled();
    for (let events = 1; !over(); events++) {
      const next = this.#pop();
      if (next === undefined) return;
      if (next.run === null) continue;
      this.#now = next.at;
      next.run();
      await settled();
      if (events % EVENTS_A_TURN === 0) {
        await new Promise<void>((resolve) => setImmediate(resolve));
        signal?.throwIfAborted();
      }
    }
  }

  #push(entry: Entry): void {
    const heap = this.#heap;
    let at = heap.length;
    heap.push(entry);
    while (at > 0) {
      const above = (at - 1) >> 1;
      if (!before(entry, heap[above]!)) break;
      heap[at] = heap[above]!;
      at = above;
    }
    heap[at] = entry;
  }

  #pop(): Entry | undefined {
    const heap = this.#heap;
    const first = heap[0];
    const last = heap.pop();
    if (first === undefined || heap.length === 0 || last === undefined) return first;
    let at = 0;
    for (;;) {
      let below = 2 * at + 1;
      if (below >= heap.length) break;
      if (below + 1 < heap.length && before(heap[below + 1]!, heap[below]!)) below += 1;
      if (!before(heap[below]!, last)) break;
      heap[at] = heap[below]!;
      at = below;
    }
    heap[at] = last;
    return first;
  }
}

function before(a: Entry, b: Entry): boolean {
  return a.at < b.at || (a.at === b.at && a.order < b.order);
}

/** Resolves when no promise is left that could settle by itself: Node runs its ticks once that queue is empty. */
function settled(): Promise<void> {
  return new Promise((resolve) => process.nextTick(resolve));
}
