/**
 * The verified adapters of a federation as PEFT folders, and the pointer to the one in use:
 *
 *   adapters/<first 16 digits of the federation>/round-3/   adapter_config.json, adapter_model.safetensors, README.md
 *   adapters/<…>/current -> round-3
 *
 * A folder is written under another name and renamed when it is whole, and the pointer is replaced in one step, so a
 * half-written adapter is never loaded, whenever the process is killed.
 */
import { existsSync, readlinkSync } from 'node:fs';
import { rename, rm, symlink } from 'node:fs/promises';
import { join } from 'node:path';
import type { OpenedManifest } from '../../protocol/manifest.ts';
import type { Receipt } from '../../protocol/receipt.ts';
import type { FixedPointTensors } from '../../protocol/tensorBlob.ts';
import { dequantize } from '../../protocol/update.ts';
import { naming, syncFolder } from '../storage/atomicFile.ts';
import { adapterVectorLength } from '../training/adapterVector.ts';
import type { AdapterVectorEntry } from '../training/adapterVector.ts';
import { writePeftAdapter } from '../training/peft.ts';

const CURRENT = 'current';
const FEDERATION_DIGITS = 16;

/** Where a federation's adapters lie. */
export function federationAdapters(adapters: string, federation: string): string {
  return join(adapters, federation.slice(0, FEDERATION_DIGITS));
}

/** The PEFT folder in use, or null before the first. */
export function currentAdapter(folder: string): string | null {
  const pointer = join(folder, CURRENT);
  try {
    return join(folder, readlinkSync(pointer));
  } catch {
    return null;
  }
}

export interface VerifiedAdapter {
  readonly federation: OpenedManifest;
  readonly receipt: Receipt;
  readonly tensors: FixedPointTensors;
  readonly table: readonly AdapterVectorEntry[];
}

/**
 * Writes the adapter of a verified receipt as a PEFT folder and points to it; returns the folder. Doing it again
 * changes nothing. Throws DISK_FULL, STORAGE_FAILED.
 */
export async function adoptAdapter(
  folder: string,
  { federation, receipt, tensors, table }: VerifiedAdapter,
): Promise<string> {
  const { base, adapter, name } = federation.content;
  const round = join(folder, `round-${receipt.round}`);
  if (!existsSync(round)) {
    const draft = `${round}.partial`;
    await naming(draft, () => rm(draft, { recursive: true, force: true }));
    const vector = dequantize(tensors, table, adapterVectorLength(table));
    const { rank, alpha, targets } = adapter;
    await writePeftAdapter(
      draft,
      { rank, alpha, targets, vector, table, baseHash: base.hash },
      {
        baseModel: base.name,
        card: {
          Federation: name,
          'Federation id': federation.hash,
          Round: receipt.round,
          'Adapter blob SHA-256': receipt.output,
          Participants: receipt.updates.filter(({ verdict }) => verdict === 'accepted').length,
        },
      },
    );
    await naming(round, async () => {
      await rename(draft, round);
      await syncFolder(folder); // before anything points there
    });
  }
  await pointTo(folder, `round-${receipt.round}`);
  return round;
}

async function pointTo(folder: string, target: string): Promise<void> {
  const pointer = join(folder, CURRENT);
  const draft = `${pointer}.partial`;
  await naming(pointer, async () => {
    await rm(draft, { force: true });
    await symlink(target, draft);
    await rename(draft, pointer);
    await syncFolder(folder);
  });
}
