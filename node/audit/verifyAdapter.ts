/**
 * Checking a PEFT folder: that it is, number for number, an adapter that a round of the federation published.
 */
import { join } from 'node:path';
import { PrefmeshError } from '../../protocol/errors.ts';
import { LIMITS } from '../../protocol/limits.ts';
import { decodeBlob } from '../../protocol/tensorBlob.ts';
import type { OpenedReceipt } from '../../protocol/receipt.ts';
import { factorOfTensor } from '../../protocol/update.ts';
import { readSafetensorsIndex, readTensor } from '../model/safetensors.ts';
import { readFederationFile } from '../participant/federationFile.ts';
import { ADAPTER_WEIGHTS } from '../training/peft.ts';
import { auditPaths } from './auditFolder.ts';
import { readBounded } from '../storage/reading.ts';
import { verifyAudit, type VerificationReport, type VerifyAuditOptions } from './verifyAudit.ts';

/**
 * Checks the whole audit folder, and then that the adapter is the outcome of one of its published rounds.
 *
 * @throws what `verifyAudit` throws; WEIGHTS_INVALID, ADAPTER_INVALID when the folder is no adapter
 */
export async function verifyAdapter(
  adapter: string,
  folder: string,
  options: Omit<VerifyAuditOptions, 'round'> = {},
): Promise<VerificationReport & { readonly round: number | null }> {
  const published: OpenedReceipt[] = [];
  const onRound = (receipt: OpenedReceipt): void => {
    if (receipt.content.outcome === 'published') published.push(receipt);
    options.onRound?.(receipt);
  };
  const report = await verifyAudit(folder, { ...options, onRound });
  if (!report.ok) return { ...report, round: null };
  const tensors = weightsOf(adapter);
  const { alpha, rank } = (await readFederationFile(auditPaths(folder).federation)).content.adapter;
  const blobs = options.blobs ?? auditPaths(folder).blobs;
  for (const { content } of published.toReversed()) {
    if (await isThatOf(tensors, join(blobs, content.output), alpha / rank)) return { ...report, round: content.round };
  }
  const failure = new PrefmeshError('ADAPTER_NOT_PUBLISHED', { adapter, rounds: published.length });
  const first_failure = { code: failure.code, round: null, detail: failure.message };
  return { ok: false, checked: report.checked, first_failure, round: null };
}

function weightsOf(adapter: string): Map<string, Float32Array> {
  const { tensors } = readSafetensorsIndex(join(adapter, ADAPTER_WEIGHTS));
  return new Map([...tensors].map(([name, tensor]) => [name, readTensor(tensor)]));
}

/** Whether the tensors are those of the blob. The folder has the adapter's scale folded into B. */
async function isThatOf(tensors: ReadonlyMap<string, Float32Array>, blob: string, scale: number): Promise<boolean> {
  const adapter = decodeBlob(await readBounded(blob, LIMITS.blobSize.value));
  if (adapter.table.length !== tensors.size) return false;
  const unit = 2 ** -adapter.bits;
  let at = 0;
  for (const { name, shape } of adapter.table) {
    const values = tensors.get(name);
    const size = shape.reduce((product, side) => product * side, 1);
    if (values?.length !== size) return false;
    const factor = factorOfTensor(name) === 'B' ? scale : 1;
    for (const value of values) {
      if (value !== Math.fround(Math.fround(adapter.values[at++]! * unit) * factor)) return false;
    }
  }
  return true;
}
