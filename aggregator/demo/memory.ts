/**
 * How much memory a set of processes holds at most, all together. Pages that several of them share are counted once
 * for each, so the true figure is lower. Known on Linux only.
 */
import { readFile } from 'node:fs/promises';

const INTERVAL_MS = 500;
const KIB = 1024;

export class MemoryWatch implements Disposable {
  readonly #processes: () => readonly (number | undefined)[];
  readonly #timer: NodeJS.Timeout;
  #peak: number | null = null;

  /** @param processes ids of the processes that run at the moment */
  constructor(processes: () => readonly (number | undefined)[]) {
    this.#processes = processes;
    this.#timer = setInterval(() => void this.#sample(), INTERVAL_MS).unref();
  }

  /** Bytes; null where the system does not tell. */
  get peak(): number | null {
    return this.#peak;
  }

  async #sample(): Promise<void> {
    const known = (await Promise.all(this.#processes().map(residentBytes))).filter((bytes) => bytes !== null);
    if (known.length === 0) return;
    const total = known.reduce((sum, bytes) => sum + bytes, 0);
    this.#peak = Math.max(this.#peak ?? 0, total);
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer);
  }
}

async function residentBytes(pid: number | undefined): Promise<number | null> {
  if (pid === undefined) return null;
  // A process that has ended meanwhile, or another system, has no such file.
  const status = await readFile(`/proc/${pid}/status`, 'utf8').catch(() => '');
  const found = /^VmRSS:\s+(\d+) kB$/m.exec(status);
  return found ? Number(found[1]) * KIB : null;
}
