/**
 * Writing everything that anyone needs to check a federation from an aggregator's data folder, also while it runs.
 */
import { copyFile } from 'node:fs/promises';
import { join } from 'node:path';
import { makeAuditFolder, receiptName, writeAuditFile } from '../node/audit/auditFolder.ts';
import { BlobStore } from '../node/storage/blobs.ts';
import { dataPaths } from '../node/storage/dataFolder.ts';
import { naming } from '../node/storage/atomicFile.ts';
import { readIdentity } from '../node/storage/keys.ts';
import { PrefmeshError, isPrefmeshError } from '../protocol/errors.ts';
import type { Sha256 } from '../protocol/names.ts';
import { openReceipt } from '../protocol/receipt.ts';
import type { OpenedManifest } from '../protocol/manifest.ts';
import { Ledger, ledgerFile } from './ledger.ts';
import { evidenceOf, FederationLog } from './log.ts';
import { envelopeHash, decodeEnvelope } from '../protocol/envelope.ts';
import { LIMITS } from '../protocol/limits.ts';

export interface ExportedAudit {
  readonly rounds: number;
  readonly updates: number;
  readonly blobs: number;
  /** Blobs that receipts name and that are no longer here. */
  readonly missing: readonly Sha256[];
}

/**
 * Writes an audit folder. Doing it again adds what is new.
 *
 * @throws KEY_MISSING, FEDERATION_UNKNOWN where this folder is not that federation's aggregator; DISK_FULL
 */
export async function exportAudit(home: string, federation: OpenedManifest, out: string): Promise<ExportedAudit> {
  const paths = dataPaths(home);
  const identity = await readIdentity(paths.identityKey);
  if (identity === undefined) throw new PrefmeshError('KEY_MISSING', { file: paths.identityKey });
  using ledger = Ledger.read(ledgerFile(paths), federation);
  const blobs = await BlobStore.open(paths.blobs);
  const audit = await makeAuditFolder(out);
  await writeAuditFile(audit.federation, federation.bytes);
  const wanted = new Set<Sha256>([federation.content.adapter.initial]);
  let [rounds, updates] = [0, 0];
  for (let receipt = ledger.receipt(1); receipt !== undefined; receipt = ledger.receipt(rounds + 1)) {
    rounds++;
    await writeAuditFile(join(audit.receipts, receiptName(rounds)), receipt.envelope);
    for (const envelope of evidenceOf(ledger, rounds) ?? []) {
      const hash = envelopeHash(decodeEnvelope(envelope, LIMITS.message.value));
      await writeAuditFile(join(audit.updates, hash), envelope);
      updates++;
    }
    const { content } = openReceipt(receipt.envelope);
    const list = content.revocations === null ? undefined : ledger.revocations(content.revocations);
    if (list !== undefined) await writeAuditFile(join(audit.revocations, content.revocations!), list);
    for (const { blob, verdict } of content.updates) if (verdict === 'accepted') wanted.add(blob);
    if (content.candidate !== null) wanted.add(content.candidate);
    if (content.optimizerState !== null) wanted.add(content.optimizerState);
  }
  const missing: Sha256[] = [];
  for (const hash of wanted) {
    try {
      await blobs.verify(hash);
      await naming(out, () => copyFile(join(blobs.folder, hash), join(audit.blobs, hash)));
    } catch (error) {
      if (!isPrefmeshError(error, 'BLOB_MISSING') && !isPrefmeshError(error, 'BLOB_CORRUPT')) throw error;
      missing.push(hash);
    }
  }
  const log = new FederationLog(federation, identity, ledger);
  // Of just the receipts that were written: the log may have grown meanwhile.
  await writeAuditFile(audit.checkpoint, log.checkpointOf(rounds));
  return { rounds, updates, blobs: wanted.size - missing.length, missing };
}
