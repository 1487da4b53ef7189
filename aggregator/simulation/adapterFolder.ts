/**
 * Adapter folders on a simulated disk, written in the order of `node/participant/adapterFolders.ts`: under another name
 * until whole, renamed, and then pointed to. The process may die between any two of these.
 */
import type { Receipt } from '../../protocol/receipt.ts';
import type { SimulatedProcess } from './machine.ts';
import type { StoredAdapter } from './disk.ts';

/** Writes the adapter of a verified receipt and points to it. */
export function adopt(process: SimulatedProcess, { round, output }: Receipt): string {
  const { disk } = process.machine;
  const name = `round-${round}`;
  if (!disk.folders.has(name)) {
    const draft: StoredAdapter = { adapter: output, whole: false };
    disk.folders.set(`${name}.partial`, draft);
    process.effect();
    draft.whole = true;
    process.effect();
    disk.folders.set(name, draft);
    disk.folders.delete(`${name}.partial`);
    process.effect();
  }
  disk.current = name;
  process.effect();
  return name;
}

/** What whoever loads the adapter in use gets; undefined before the first. */
export function inUse({ machine: { disk } }: SimulatedProcess): StoredAdapter | undefined {
  return disk.current === null ? undefined : disk.folders.get(disk.current);
}
