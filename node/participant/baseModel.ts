/**
 * The base model of a federation, as this machine has it: opened by the name in the manifest or by another one, and
 * believed only by its hash.
 */
import { PrefmeshError } from '../../protocol/errors.ts';
import type { Manifest } from '../../protocol/manifest.ts';
import { openCheckpoint } from '../model/checkpoint.ts';
import type { Checkpoint } from '../model/checkpoint.ts';
import type { Device } from '../engine/device.ts';
import { adapterVectorTable } from '../training/adapterVector.ts';
import type { AdapterVectorEntry } from '../training/adapterVector.ts';
import { Policy } from '../training/policy.ts';

/**
 * Opens the base model of a manifest.
 *
 * @param model a folder, `embedded` or the id of a pulled model; what the manifest calls it when absent
 * @throws BASE_MODEL_MISMATCH, and what `openCheckpoint` throws
 */
export async function openBaseModel({ base }: Manifest, model: string | undefined, home: string): Promise<Checkpoint> {
  const checkpoint = await openCheckpoint(model ?? base.name, { home });
  if (checkpoint.hash === base.hash) return checkpoint;
  throw new PrefmeshError('BASE_MODEL_MISMATCH', {
    name: base.name,
    expected: base.hash,
    model: checkpoint.folder,
    hash: checkpoint.hash,
  });
}

/** Where things are computed. */
export interface ComputeOptions {
  readonly device?: Device | undefined;
  readonly threads?: number | undefined;
  readonly cacheFolder?: string | undefined;
}

/** The policy of a federation: its base model under its adapter's layout and scale. */
export async function openFederationPolicy(
  { adapter }: Manifest,
  checkpoint: Checkpoint,
  compute: ComputeOptions,
): Promise<{ policy: Policy; table: readonly AdapterVectorEntry[] }> {
  const { rank, alpha, targets } = adapter;
  const policy = await Policy.open({ ...compute, checkpoint, layout: { rank, targets }, scale: alpha / rank });
  return { policy, table: adapterVectorTable(checkpoint.config, { rank, targets }) };
}
