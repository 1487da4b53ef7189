/**
 * Holding acknowledged updates against the receipts of a federation: whose update was promised a place and has none.
 *
 * A participant writes its proofs with `writeAcknowledgements`; anybody checks them, as files or a folder of them, with
 * the manifest and the receipts and nothing of the participant's.
 */
import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import {
  ACKNOWLEDGED_BYTES,
  checkAcknowledged,
  openAcknowledged,
  packAcknowledged,
} from '../../protocol/acknowledgement.ts';
import { isPrefmeshError, PrefmeshError } from '../../protocol/errors.ts';
import type { ParticipantId } from '../../protocol/identity.ts';
import type { OpenedManifest } from '../../protocol/manifest.ts';
import type { RoundNumber } from '../../protocol/names.ts';
import type { OpenedReceipt } from '../../protocol/receipt.ts';
import type { ParticipantStore } from '../participant/store.ts';
import { makeFolder, naming, storageError } from '../storage/atomicFile.ts';
import { receiptName, writeAuditFile } from './auditFolder.ts';
import { readBounded } from '../storage/reading.ts';

/**
 * - `included`: the update is in the receipt of its round, as acknowledged
 * - `refused`: the aggregator never promised it a place; `code` says why
 * - `undecided`: there is no receipt of its round yet, or only one of another aggregator, which promised nothing
 * - `missing`: promised and not there; `code` is NOT_INCLUDED
 * - `worthless`: the file proves nothing; `code` says why
 */
export type AcknowledgementOutcome = 'included' | 'refused' | 'undecided' | 'missing' | 'worthless';

export interface CheckedAcknowledgement {
  /** What a report says of it. */
  readonly told: About & {
    readonly file: string;
    readonly outcome: AcknowledgementOutcome;
    readonly code: string | null;
  };
  /** What is wrong, where it is missing or worthless. */
  readonly problem?: PrefmeshError;
}

/** All null where the file could not be read as a proof. */
interface About {
  readonly round: RoundNumber | null;
  readonly participant: ParticipantId | null;
  readonly aggregator: ParticipantId | null;
}

/**
 * Writes the proofs of a node's acknowledged updates of one federation, one file a round and message; returns how many.
 * Throws DISK_FULL, STORAGE_FAILED.
 */
export async function writeAcknowledgements(
  store: ParticipantStore,
  federation: OpenedManifest,
  out: string,
): Promise<number> {
  await naming(out, () => makeFolder(out));
  const written = new Map<number, number>();
  for (const { round, message, acknowledgement } of store.acknowledged(federation.hash)) {
    const nth = (written.get(round) ?? 0) + 1;
    written.set(round, nth);
    const name = nth === 1 ? receiptName(round) : `${receiptName(round)}-${nth}`;
    await writeAuditFile(join(out, name), packAcknowledged(message, acknowledgement));
  }
  return [...written.values()].reduce((total, count) => total + count, 0);
}

/**
 * Checks a proof, or every file of a folder. Never throws for what is in them.
 *
 * @param receiptOf the verified receipt of a round; undefined where there is none
 * @throws FILE_MISSING, STORAGE_FAILED where `path` cannot be read
 */
export async function checkAcknowledgements(
  path: string,
  federation: OpenedManifest,
  receiptOf: (round: number) => OpenedReceipt | undefined,
): Promise<CheckedAcknowledgement[]> {
  const checked: CheckedAcknowledgement[] = [];
  for (const file of await filesOf(path)) checked.push(await checkFile(file, federation, receiptOf));
  return checked;
}

async function filesOf(path: string): Promise<string[]> {
  try {
    if (!(await stat(path)).isDirectory()) return [path];
    return (await readdir(path)).sort().map((name) => join(path, name));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') throw new PrefmeshError('FILE_MISSING', { file: path });
    throw storageError(error, path);
  }
}

async function checkFile(
  file: string,
  federation: OpenedManifest,
  receiptOf: (round: number) => OpenedReceipt | undefined,
): Promise<CheckedAcknowledgement> {
  let about: About = { round: null, participant: null, aggregator: null };
  const told = (outcome: AcknowledgementOutcome, code: string | null) => ({ file, outcome, code, ...about });
  try {
    const update = openAcknowledged(await readBounded(file, ACKNOWLEDGED_BYTES), federation);
    about = { round: update.round, participant: update.sender, aggregator: update.aggregator };
    if (update.refused !== null) return { told: told('refused', update.refused) };
    const receipt = receiptOf(update.round);
    if (receipt?.sender !== update.aggregator) return { told: told('undecided', null) };
    checkAcknowledged(update, receipt.content);
    return { told: told('included', null) };
  } catch (problem) {
    if (!isPrefmeshError(problem)) throw problem;
    const outcome = problem.code === 'NOT_INCLUDED' ? 'missing' : 'worthless';
    return { told: told(outcome, problem.code), problem };
  }
}
