/** Tries a durable operation against every power cut that may fall into it. */
import { createHash } from 'node:crypto';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { observeFiles, type FileChange } from '../../../scripts/torture/fileLayer.ts';
import { CrashModel, layOut, type Found } from './crashModel.ts';

export interface DurableOperation {
  /** What was there before, and survives anything. */
  readonly prepare?: (disk: string) => Promise<unknown>;
  /** Does it, and says what may be relied on from then on. */
  readonly perform: (disk: string, acknowledge: (what: string) => void) => Promise<unknown>;
  /** Opens what a power cut left, as the program would. Throws where something acknowledged is not there. */
  readonly recover: (disk: string, acknowledged: readonly string[]) => Promise<unknown>;
  /** Syncs (as `RecordedSync.of`) that could be spared here: the same folder is synced again, or nobody relies on the file. */
  readonly spare?: readonly string[];
}

type Recorded = { readonly change: FileChange } | { readonly acknowledged: string };

export interface Recording {
  readonly disk: string;
  readonly before: readonly Recorded[];
  readonly during: readonly Recorded[];
}

/** Performs an operation on an empty disk, and writes down all that it asks of its files. */
export async function record({ prepare, perform }: DurableOperation): Promise<Recording> {
  const disk = mkdtempSync(join(tmpdir(), 'prefmesh-disk-'));
  let recorded: Recorded[] = [];
  using _ = await observeFiles({
    before: () => undefined,
    after: (change) => {
      if ('path' in change && !change.path.startsWith(disk)) return;
      recorded.push({ change: change.kind === 'write' ? { ...change, bytes: change.bytes.slice() } : change });
    },
  });
  try {
    await prepare?.(disk);
    const before = recorded;
    recorded = [];
    await perform(disk, (acknowledged) => recorded.push({ acknowledged }));
    return { disk, before, during: recorded };
  } finally {
    rmSync(disk, { recursive: true, force: true });
  }
}

/** A sync in a recording: where it stands, and of what: `folder #2` for the second sync of that path. */
export interface RecordedSync {
  readonly step: number;
  readonly of: string;
}

/** The syncs of a recording, in its order. The random part in the name of a temporary file is left out. */
export function syncsIn({ disk, during }: Recording): RecordedSync[] {
  const times = new Map<string, number>();
  return during.flatMap((recorded, step) => {
    if (!('change' in recorded) || recorded.change.kind !== 'sync') return [];
    const path = relative(disk, recorded.change.path).replace(/\.[0-9a-f]{16}\.tmp$/, '');
    times.set(path, (times.get(path) ?? 0) + 1);
    return [{ step, of: `${path} #${times.get(path)}` }];
  });
}

/**
 * Lays out every state that a power cut at any step may leave, and recovers from it; answers how many there were.
 *
 * @param without the step that is left out, to see whether it is needed
 */
export async function cutEverywhere(
  { recover }: DurableOperation,
  { disk, before, during }: Recording,
  without?: number,
): Promise<number> {
  const model = new CrashModel(disk);
  for (const step of before) if ('change' in step) model.apply(step.change);
  model.settle();
  const acknowledged: string[] = [];
  const tried = new Set<string>();
  for (const [i, step] of [{ acknowledged: null }, ...during].entries()) {
    if ('change' in step && i - 1 !== without) model.apply(step.change);
    else if ('acknowledged' in step && step.acknowledged !== null) acknowledged.push(step.acknowledged);
    for (const names of model.states()) {
      const key = `${acknowledged.length} ${fingerprint({ names })}`;
      if (tried.has(key)) continue;
      tried.add(key);
      const found = mkdtempSync(join(tmpdir(), 'prefmesh-cut-'));
      try {
        mkdirSync(found, { recursive: true });
        layOut(names, found);
        await recover(found, acknowledged);
      } catch (error) {
        if (error instanceof Error) error.message = `cut after step ${i} of ${during.length}: ${error.message}`;
        throw error;
      } finally {
        rmSync(found, { recursive: true, force: true });
      }
    }
  }
  return tried.size;
}

function fingerprint(found: Found): string {
  if (found instanceof Uint8Array) return createHash('sha256').update(found).digest('base64');
  if ('target' in found) return `-> ${found.target}`;
  return `{${[...found.names].map(([name, child]) => `${name}: ${fingerprint(child)}`).join()}}`;
}
