/**
 * Checking a federation from files: every signature, every hash, every aggregate, and that the rounds are one history.
 *
 * Rounds are checked one after the other, in a thread of their own where they are large, so memory does not grow with
 * their number. The first thing that is wrong ends it: what comes after a false round proves nothing.
 */
import { existsSync } from 'node:fs';
import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { cosigners, openCheckpoint } from '../../protocol/checkpoint.ts';
import { isPrefmeshError, PrefmeshError } from '../../protocol/errors.ts';
import type { ErrorCode } from '../../protocol/errors.ts';
import { LIMITS } from '../../protocol/limits.ts';
import type { OpenedManifest } from '../../protocol/manifest.ts';
import { leafHash, rootOfLeaves } from '../../protocol/merkle.ts';
import { openReceipt } from '../../protocol/receipt.ts';
import type { OpenedReceipt } from '../../protocol/receipt.ts';
import { openRevocations, unrevokedWitnesses } from '../../protocol/revocations.ts';
import { readFederationFile, readRevocationsFile } from '../participant/federationFile.ts';
import { verifyRound } from '../participant/roundVerification.ts';
import { checkAcknowledgements, type CheckedAcknowledgement } from './acknowledgements.ts';
import { auditedRounds, auditPaths, readNamed, receiptName } from './auditFolder.ts';
import { readBounded } from '../storage/reading.ts';
import type { AuditPaths } from './auditFolder.ts';

export interface VerificationReport {
  readonly ok: boolean;
  /** How many of each were found right; `log`: links from receipt to receipt, and the checkpoint. */
  readonly checked: { signatures: number; hashes: number; aggregates: number; log: number };
  readonly first_failure: { readonly code: ErrorCode; readonly round: number | null; readonly detail: string } | null;
  /** What became of the acknowledged updates that were to be looked for. */
  readonly acknowledgements?: readonly CheckedAcknowledgement['told'][];
}

export interface VerifyAuditOptions {
  /** Where the blobs lie, if not in the folder itself. */
  readonly blobs?: string | undefined;
  /** Only this round, after the one before it. */
  readonly round?: number | undefined;
  /** A proof that an update was acknowledged, or a folder of them: the update has to be in the receipts. */
  readonly acknowledgements?: string | undefined;
  /** A file with the newest list of revocations, which the federation must have heeded. */
  readonly revocations?: string | undefined;
  readonly signal?: AbortSignal;
  /** Told of each round that was found right. */
  readonly onRound?: (receipt: OpenedReceipt) => void;
}

/** What the checks so far have found, and what has gone wrong. */
export class VerificationTally {
  readonly checked = { signatures: 0, hashes: 0, aggregates: 0, log: 0 };
  #failure: VerificationReport['first_failure'] = null;

  add(checked: Partial<VerificationReport['checked']>): void {
    for (const [name, count] of Object.entries(checked)) this.checked[name as keyof typeof this.checked] += count;
  }

  /** @param file where it was found, where that is not clear from the round */
  fail({ code, message }: PrefmeshError, round: number | null, file?: string): void {
    this.#failure ??= { code, round, detail: file === undefined ? message : `${file}: ${message}` };
  }

  get failed(): boolean {
    return this.#failure !== null;
  }

  get report(): VerificationReport {
    return { ok: this.#failure === null, checked: this.checked, first_failure: this.#failure };
  }
}

/**
 * Checks an audit folder. Never throws for what is in it: the report says what is wrong.
 *
 * @throws FEDERATION_FILE_INVALID or FILE_MISSING where there is no manifest to check anything by; STORAGE_FAILED
 */
export async function verifyAudit(folder: string, options: VerifyAuditOptions = {}): Promise<VerificationReport> {
  const paths = { ...auditPaths(folder), ...(options.blobs !== undefined && { blobs: options.blobs }) };
  const federation = await readFederationFile(paths.federation);
  const { revocations } = options;
  const newest = revocations === undefined ? null : (await readRevocationsFile(revocations, federation)).bytes;
  const tally = new VerificationTally();
  tally.add({ signatures: 1 });
  const receipts = new Map<number, OpenedReceipt>();
  await verifyRounds(receipts, { paths, federation, tally, newest }, options);
  if (options.acknowledgements === undefined) return tally.report;
  const acknowledgements = await checkAcknowledgements(options.acknowledgements, federation, (round) => {
    return receipts.get(round);
  });
  for (const { told, problem } of acknowledgements) {
    if (told.outcome !== 'worthless') tally.add({ signatures: 2 });
    if (problem !== undefined) tally.fail(problem, told.round, told.file);
  }
  return { ...tally.report, acknowledgements: acknowledgements.map(({ told }) => told) };
}

/** Checks round after round up to the first that is wrong, and the log; fills `receipts` with those that are right. */
async function verifyRounds(
  receipts: Map<number, OpenedReceipt>,
  context: Omit<RoundContext, 'full'>,
  options: VerifyAuditOptions,
): Promise<void> {
  const { paths, tally } = context;
  const leaves: Uint8Array[] = [];
  let previous: OpenedReceipt | null = null;
  for (const round of await auditedRounds(paths)) {
    options.signal?.throwIfAborted();
    if (options.round !== undefined && round > options.round) break;
    const wanted = options.round === undefined || round === options.round;
    const receipt = await verifyOne(round, previous, { ...context, full: wanted }, options);
    if (receipt === undefined) return;
    leaves.push(leafHash(receipt.bytes));
    if (options.acknowledgements !== undefined) receipts.set(round, receipt);
    previous = receipt;
    if (wanted) options.onRound?.(receipt);
  }
  if (options.round !== undefined && previous?.content.round !== options.round) {
    tally.fail(new PrefmeshError('ROUND_NOT_PUBLISHED', { round: options.round }), options.round);
  }
  if (options.round === undefined) await verifyCheckpoint(context, leaves, await revokedBy(previous, context));
}

interface RoundContext {
  readonly paths: AuditPaths;
  readonly federation: OpenedManifest;
  readonly tally: VerificationTally;
  /** The newest list of revocations that the verifier has of its own. */
  readonly newest: Uint8Array | null;
  /** Whether blobs and senders are checked too, or only the signature, the terms and the link. */
  readonly full: boolean;
}

/** The receipt, if all of its round is right. */
async function verifyOne(
  round: number,
  previous: OpenedReceipt | null,
  { paths, federation, tally, newest, full }: RoundContext,
  { signal }: VerifyAuditOptions,
): Promise<OpenedReceipt | undefined> {
  try {
    const bytes = await readBounded(join(paths.receipts, receiptName(round)), LIMITS.document.value);
    const { content } = openReceipt(bytes);
    const lists = [content.revocations, previous?.content.revocations].filter((list) => typeof list === 'string');
    const hashes = content.updates.map(({ envelope }) => envelope);
    const { checked, failures, receipt } = await verifyRound(
      {
        receipt: bytes,
        manifest: federation.bytes,
        previous: previous?.bytes ?? null,
        own: null,
        blobs: full ? paths.blobs : null,
        revocations: await readNamed(paths.revocations, lists, LIMITS.document.value),
        newestRevocations: newest,
        envelopes: full ? await readNamed(paths.updates, hashes, LIMITS.message.value) : null,
      },
      full ? await sizeOf(content.updates.map(({ blob }) => join(paths.blobs, blob))) : 0,
      signal,
    );
    tally.add(checked);
    for (const failure of failures) tally.fail(failure, round);
    return failures.length === 0 ? receipt! : undefined;
  } catch (error) {
    if (!isPrefmeshError(error)) throw error;
    tally.fail(error, round);
    return undefined;
  }
}

/** The checkpoint must be of just these receipts, signed by an aggregator, and cosigned as the federation wants it. */
async function verifyCheckpoint(
  { paths: { checkpoint }, federation, tally }: Omit<RoundContext, 'full'>,
  leaves: readonly Uint8Array[],
  revoked: readonly string[],
): Promise<void> {
  try {
    const bytes = await readBounded(checkpoint, LIMITS.checkpoint.value);
    const found = openCheckpoint(Buffer.from(bytes).toString('utf8'));
    tally.add({ signatures: found.signatures.length });
    const aggregators = federation.content.aggregators.map(({ id }) => id);
    const signer = found.signatures.find((each) => each.seenAt === null && aggregators.includes(each.signer));
    const sender = signer?.signer ?? found.signatures[0]?.signer ?? 'nobody';
    if (found.federation !== federation.hash) {
      throw new PrefmeshError('WRONG_FEDERATION', { sender, federation: found.federation });
    }
    if (signer === undefined) throw new PrefmeshError('WRONG_AGGREGATOR', { sender });
    if (found.size !== leaves.length || !Buffer.from(found.root).equals(rootOfLeaves(leaves))) {
      const problem = `its checkpoint is of ${found.size} receipts with another root than the ${leaves.length} here`;
      throw new PrefmeshError('LOG_FORKED', { federation: federation.hash, problem });
    }
    tally.add({ log: 1 });
    const { required } = federation.content.witnesses;
    const cosigned = cosigners(found, unrevokedWitnesses(federation, revoked)).length;
    // Before the first round there is nothing to repeat.
    if (found.size > 0 && cosigned < required) {
      throw new PrefmeshError('COSIGNATURES_MISSING', { round: found.size, found: cosigned, required });
    }
  } catch (error) {
    if (!isPrefmeshError(error)) throw error;
    tally.fail(error, null);
  }
}

/** The keys that the list of the last receipt revokes, whose cosignatures do not count any more. */
async function revokedBy(
  last: OpenedReceipt | null,
  { paths, federation }: Omit<RoundContext, 'full'>,
): Promise<readonly string[]> {
  const list = last?.content.revocations ?? null;
  const [bytes] = list === null ? [] : await readNamed(paths.revocations, [list], LIMITS.document.value);
  return bytes === undefined ? [] : openRevocations(bytes, federation).content.participants;
}

async function sizeOf(files: readonly string[]): Promise<number> {
  let size = 0;
  for (const file of files) if (existsSync(file)) size += (await stat(file)).size;
  return size;
}
