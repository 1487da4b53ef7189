/**
 * Watching that the aggregator tells one history: its signed checkpoints must agree with the receipts that were
 * verified here, and with the checkpoints that were seen before.
 *
 * A receipt alone shows that a round was done right. Only the log shows that everybody was given the same rounds: two
 * checkpoints of one size with different roots, both signed, are proof of two histories, and are kept.
 */
import { openCheckpoint } from '../../protocol/checkpoint.ts';
import type { Checkpoint, OpenedCheckpoint } from '../../protocol/checkpoint.ts';
import { PrefmeshError } from '../../protocol/errors.ts';
import type { OpenedManifest } from '../../protocol/manifest.ts';
import { leafHash, rootOfLeaves, verifyConsistency } from '../../protocol/merkle.ts';
import { isRefusal } from '../network/refusal.ts';
import type { AggregatorLink } from './aggregatorLink.ts';
import type { ParticipantStore } from './store.ts';

export interface LogWatchComponents {
  readonly federation: OpenedManifest;
  readonly store: ParticipantStore;
  readonly link: AggregatorLink;
}

export class LogWatch {
  readonly #components: LogWatchComponents;
  /** Leaf hashes of the receipts verified here. */
  readonly #leaves: Uint8Array[] = [];

  constructor(components: LogWatchComponents) {
    this.#components = components;
  }

  /**
   * Asks for a checkpoint of the log with `next`, the receipt just verified, and holds it against what is known here;
   * returns it.
   *
   * @throws LOG_FORKED when it tells another history, after both were kept; BAD_SIGNATURE, WRONG_AGGREGATOR,
   *   WRONG_FEDERATION, MALFORMED; errors with exit code 4
   */
  async check(next: Uint8Array, signal?: AbortSignal): Promise<OpenedCheckpoint> {
    const { federation, store, link } = this.#components;
    this.#readNew();
    const leaves = [...this.#leaves, leafOf(next)];
    const size = leaves.length;
    const known = store.checkpoint(federation.hash);
    const before = known === null ? null : openCheckpoint(known);
    let answer;
    try {
      answer = await link.askForLog(size, signal ? { signal } : {});
    } catch (error) {
      if (isRefusal(error, 'LOG_TOO_SHORT')) throw this.#forked(known, null, `it is shorter than ${size} receipts`);
      throw error;
    }
    const found = openCheckpoint(answer.checkpoint);
    this.#checkSigner(found);
    const forked = (problem: string) => this.#forked(known, answer.checkpoint, problem);
    const own = { oldSize: size, oldRoot: rootOfLeaves(leaves) };
    const grown = { newSize: found.size, newRoot: found.root, proof: answer.proof };
    if (!verifyConsistency({ ...own, ...grown })) throw forked('it does not go on from the receipts verified here');
    if (before !== null) checkBefore(before, found, leaves, forked);
    const news = known !== answer.checkpoint && (before === null || found.size >= before.size);
    if (news) store.recordCheckpoint(federation.hash, answer.checkpoint);
    return found;
  }

  /** The log of the receipts verified here and `next`: what a witness cosigns. */
  withNext(next: Uint8Array): Checkpoint {
    this.#readNew();
    const leaves = [...this.#leaves, leafOf(next)];
    return { federation: this.#components.federation.hash, size: leaves.length, root: rootOfLeaves(leaves) };
  }

  #checkSigner({ federation: named, signatures }: OpenedCheckpoint): void {
    const { federation, link } = this.#components;
    const own = signatures.filter(({ seenAt }) => seenAt === null).map(({ signer }) => signer);
    const signer = own.find((id) => link.isAggregator(id));
    const sender = own[0] ?? 'nobody';
    if (named !== federation.hash) throw new PrefmeshError('WRONG_FEDERATION', { sender, federation: named });
    if (signer === undefined) throw new PrefmeshError('WRONG_AGGREGATOR', { sender });
  }

  #forked(known: string | null, found: string | null, problem: string): PrefmeshError {
    const { federation, store } = this.#components;
    store.recordFork(federation.hash, known, found);
    return new PrefmeshError('LOG_FORKED', { federation: federation.hash, problem });
  }

  #readNew(): void {
    const { federation, store } = this.#components;
    for (const envelope of store.receiptsFrom(federation.hash, this.#leaves.length + 1)) {
      this.#leaves.push(leafOf(envelope));
    }
  }
}

/** What was promised before must still hold, as far as it can be told from here. */
function checkBefore(
  before: OpenedCheckpoint,
  found: OpenedCheckpoint,
  leaves: readonly Uint8Array[],
  forked: (problem: string) => PrefmeshError,
): void {
  const same = (a: Uint8Array, b: Uint8Array) => Buffer.from(a).equals(b);
  if (before.size === found.size && !same(before.root, found.root)) {
    throw forked(`it has another root than the checkpoint of ${before.size} receipts seen before`);
  }
  if (before.size <= leaves.length && !same(before.root, rootOfLeaves(leaves.slice(0, before.size)))) {
    throw forked(`the receipts are not those of the checkpoint of ${before.size} receipts seen before`);
  }
}

const leaves = new WeakMap<Uint8Array, Uint8Array>();

/** A receipt's leaf, computed once for the same bytes: a node that waits for cosignatures asks at every look. */
function leafOf(receipt: Uint8Array): Uint8Array {
  let leaf = leaves.get(receipt);
  if (leaf === undefined) leaves.set(receipt, (leaf = leafHash(receipt)));
  return leaf;
}
