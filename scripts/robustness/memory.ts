/**
 * What was computed before, by a hash of what it follows from. Training is the work that takes long here, and attacks
 * leave most of it as it was: in the first round every honest update is the same under all attacks and rules.
 *
 * A run that was stopped goes on from here. Delete the folder after a change to the engine.
 */
import { createHash } from 'node:crypto';
import { mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

export class Memory {
  readonly #folder: string | null;
  readonly #held = new Map<string, Uint8Array>();

  /** In a folder, made if it is missing; without one, as long as this lives. */
  constructor(folder: string | null = null) {
    this.#folder = folder;
    if (folder !== null) mkdirSync(folder, { recursive: true });
  }

  /** What was made for this key before, or what `make` makes now. */
  async recall(key: readonly unknown[], make: () => Promise<Uint8Array>): Promise<Uint8Array> {
    const name = createHash('sha256').update(JSON.stringify(key)).digest('hex');
    const found = this.#find(name);
    if (found !== undefined) return found;
    const bytes = await make();
    this.#keep(name, bytes);
    return bytes;
  }

  #find(name: string): Uint8Array | undefined {
    if (this.#folder === null) return this.#held.get(name);
    try {
      return readFileSync(join(this.#folder, name));
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
      return undefined;
    }
  }

  /** Under another name first: a run may be stopped at any moment. */
  #keep(name: string, bytes: Uint8Array): void {
    if (this.#folder === null) {
      this.#held.set(name, bytes);
      return;
    }
    const unfinished = join(this.#folder, `${name}.${process.pid}`);
    writeFileSync(unfinished, bytes);
    renameSync(unfinished, join(this.#folder, name));
  }
}
