/**
 * Verifying a receipt over stored blobs: small rounds on the spot, larger ones in a thread of their own, because a node
 * whose event loop stands still for seconds loses its connections.
 */
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { Worker } from 'node:worker_threads';
import { decodeEnvelope, envelopeHash } from '../../protocol/envelope.ts';
import { PrefmeshError, isPrefmeshError } from '../../protocol/errors.ts';
import type { ErrorCode } from '../../protocol/errors.ts';
import { LIMITS } from '../../protocol/limits.ts';
import { openManifest } from '../../protocol/manifest.ts';
import type { Sha256 } from '../../protocol/names.ts';
import { openReceipt } from '../../protocol/receipt.ts';
import { openRevocations } from '../../protocol/revocations.ts';
import { verifyReceipt } from '../../protocol/verification.ts';
import type { Verification, VerificationContext } from '../../protocol/verification.ts';

/** What a thread needs in order to verify: plain bytes. */
export interface VerificationTask {
  readonly receipt: Uint8Array;
  readonly manifest: Uint8Array;
  readonly previous: Uint8Array | null;
  readonly own: VerificationContext['own'] | null;
  /** Where the blobs lie by their hashes; null where nothing is recomputed. */
  readonly blobs: string | null;
  /** The update messages that the receipt lists, in any order; null where the senders' signatures are not checked. */
  readonly envelopes: readonly Uint8Array[] | null;
  /** The lists of revocations that this receipt and the one before name, in any order. */
  readonly revocations?: readonly Uint8Array[];
  /** The newest list that the verifier has. */
  readonly newestRevocations?: Uint8Array | null;
}

/** A verification as it crosses from one thread to another. */
export interface VerificationReply {
  readonly checked: Verification['checked'];
  readonly failures: readonly {
    readonly code: ErrorCode;
    readonly details: Readonly<Record<string, string | number>>;
  }[];
  readonly readable: boolean;
}

/** Verifies in this thread. Blobs are read one at a time, so memory does not grow with their number. */
export function verifyHere(task: VerificationTask): Verification {
  const { receipt, manifest, previous, own, blobs, envelopes, revocations = [], newestRevocations } = task;
  const federation = openManifest(manifest);
  const sent = envelopes && byHash(envelopes, LIMITS.message.value);
  const lists = byHash(revocations, LIMITS.document.value);
  return verifyReceipt(receipt, {
    federation,
    revocations: (hash) => lists.get(hash),
    newest: newestRevocations ? openRevocations(newestRevocations, federation) : null,
    previous: previous && openReceipt(previous),
    ...(own && { own }),
    ...(blobs !== null && { blobs: (hash) => readBlob(path.join(blobs, hash)) }),
    ...(sent && { envelopes: (hash) => sent.get(hash) }),
  });
}

/**
 * Verifies.
 *
 * @param size bytes of the blobs that will be read
 */
export async function verifyRound(task: VerificationTask, size: number, signal?: AbortSignal): Promise<Verification> {
  return size > LIMITS.inlineAggregation.value ? verifyInThread(task, signal) : verifyHere(task);
}

/** Verifies in a thread of its own. */
export async function verifyInThread(task: VerificationTask, signal?: AbortSignal): Promise<Verification> {
  // The neighbour file, with whatever extension this one has: .ts in a clone, .js in the package.
  const file = new URL(`./roundVerificationWorker${path.extname(import.meta.url)}`, import.meta.url);
  const worker = new Worker(file, { workerData: task });
  try {
    const [reply] = (await once(worker, 'message', signal ? { signal } : {})) as [VerificationReply];
    const failures = reply.failures.map(({ code, details }) => new PrefmeshError(code, details as never));
    const receipt = reply.readable ? openReceipt(task.receipt) : null;
    return { ok: failures.length === 0, checked: reply.checked, failures, receipt };
  } finally {
    await worker.terminate();
  }
}

/** Envelopes by their hashes; what cannot be read is not there. */
function byHash(envelopes: readonly Uint8Array[], maxBytes: number): Map<Sha256, Uint8Array> {
  const found = new Map<Sha256, Uint8Array>();
  for (const bytes of envelopes) {
    try {
      found.set(envelopeHash(decodeEnvelope(bytes, maxBytes)), bytes);
    } catch (error) {
      if (!isPrefmeshError(error)) throw error;
    }
  }
  return found;
}

/** A stored blob as it is; the verification checks its hash. */
function readBlob(file: string): Uint8Array | undefined {
  try {
    return readFileSync(file);
  } catch {
    return undefined;
  }
}
