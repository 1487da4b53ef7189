/**
 * Following the federation by its receipts: each is fetched, checked, and only then its adapter adopted.
 *
 * In full, every sender's signature is checked and the aggregate is recomputed from the updates that went into it, so
 * that the aggregator is believed for nothing but the choice of whom it listened to; `receipt` alone checks its
 * signature, terms, the chain and the own update, and saves the download of the others' updates. Either way the
 * aggregator's log must go on from the receipts that were followed.
 */
import { cosignCheckpoint, cosigners } from '../../protocol/checkpoint.ts';
import { isPrefmeshError, PrefmeshError } from '../../protocol/errors.ts';
import type { Identity } from '../../protocol/identity.ts';
import { LIMITS } from '../../protocol/limits.ts';
import type { OpenedManifest } from '../../protocol/manifest.ts';
import { roundNumber } from '../../protocol/names.ts';
import type { RoundNumber, Sha256 } from '../../protocol/names.ts';
import { openReceipt, updateOf } from '../../protocol/receipt.ts';
import type { OpenedReceipt, Receipt } from '../../protocol/receipt.ts';
import { decodeBlob } from '../../protocol/tensorBlob.ts';
import type { FixedPointTensors } from '../../protocol/tensorBlob.ts';
import { unrevokedWitnesses } from '../../protocol/revocations.ts';
import type { Verification } from '../../protocol/verification.ts';
import type { BlobClient } from '../network/blob/client.ts';
import { beside } from '../beside.ts';
import type { Blobs } from '../storage/blobs.ts';
import type { Clock } from '../clock.ts';
import { acknowledgers } from './acknowledgers.ts';
import type { AggregatorLink } from './aggregatorLink.ts';
import type { ParticipantEvent } from './events.ts';
import { LogWatch } from './logWatch.ts';
import { RevocationLists } from './revocationLists.ts';
import type { VerificationTask } from './roundVerification.ts';
import type { ParticipantStore } from './store.ts';

/** How much of a round is checked: everything, or all but the arithmetic. */
export const VERIFY_MODES = ['full', 'receipt'] as const;
export type VerifyMode = (typeof VERIFY_MODES)[number];

export interface ReceiptChainComponents {
  readonly federation: OpenedManifest;
  readonly identity: Identity;
  readonly store: ParticipantStore;
  readonly blobs: Blobs;
  readonly client: Pick<BlobClient, 'fetch'>;
  readonly link: AggregatorLink;
  readonly clock: Pick<Clock, 'now'>;
  readonly verify: VerifyMode;
  /** Verifies a receipt over the stored blobs, which have `size` bytes; recomputes the round where `recompute`. */
  readonly verifyRound: (
    task: Omit<VerificationTask, 'blobs'> & { readonly recompute: boolean },
    size: number,
    signal?: AbortSignal,
  ) => Promise<Verification>;
  /** Makes a verified adapter the one in use, whole or not at all; returns where it lies. Again changes nothing. */
  readonly adopt: (receipt: Receipt, tensors: FixedPointTensors) => Promise<string>;
  readonly onEvent: (event: ParticipantEvent) => void;
}

interface VerifiedRound {
  readonly receipt: OpenedReceipt;
  /** Bytes that came for it, and the blobs that were not here before. */
  readonly received: number;
  readonly fetched: readonly Sha256[];
}

export class ReceiptChain {
  readonly #components: ReceiptChainComponents;
  readonly #log: LogWatch;
  readonly #revocations: RevocationLists;
  #last: OpenedReceipt | null;
  /** The round after the last one, once it is verified and until it is adopted. */
  #verified: VerifiedRound | null = null;

  constructor(components: ReceiptChainComponents) {
    this.#components = components;
    this.#log = new LogWatch(components);
    this.#revocations = new RevocationLists(components);
    this.#last = components.store.lastReceipt(components.federation.hash);
  }

  /** The last round that was verified; 0 before the first. */
  get round(): RoundNumber {
    return this.#last?.content.round ?? roundNumber(0);
  }

  /** Hash of the last verified receipt. */
  get receipt(): Sha256 | null {
    return this.#last?.hash ?? null;
  }

  /** The adapter that the last verified round ended with: the parent of the next one. */
  get adapter(): Sha256 {
    return this.#last?.content.output ?? this.#components.federation.content.adapter.initial;
  }

  /** The tensors of `adapter`, fetched if they are not here, or no longer whole. */
  tensors(signal?: AbortSignal): Promise<FixedPointTensors> {
    return this.#tensorsOf(this.adapter, signal);
  }

  async #tensorsOf(adapter: Sha256, signal?: AbortSignal): Promise<FixedPointTensors> {
    await this.#fetch(adapter, signal);
    return decodeBlob(await this.#components.blobs.read(adapter));
  }

  /**
   * Verifies and adopts every round up to `round`.
   *
   * @throws the first thing that is wrong with a receipt: then nothing of its round is adopted, nor can anything after
   *   it be; errors with exit code 4 where something could not be fetched for now
   */
  async followTo(round: RoundNumber, signal?: AbortSignal): Promise<void> {
    while (this.round < round) await this.#follow(roundNumber(this.round + 1), signal);
  }

  /** Whether this node's own key was revoked. Throws KEY_REVOKED when the owner's list says so. */
  checkOwnKey(signal?: AbortSignal): Promise<void> {
    return this.#revocations.checkOwnKey(signal);
  }

  async #follow(round: RoundNumber, signal?: AbortSignal): Promise<void> {
    const { federation, store, blobs, adopt, onEvent } = this.#components;
    // A round that waits for cosignatures is not verified anew at every look.
    const verified =
      this.#verified?.receipt.content.round === round ? this.#verified : await this.#verify(round, signal);
    this.#verified = verified;
    const { receipt, received, fetched } = verified;
    await this.#agreeOnLog(receipt, signal);
    const { outcome, output } = receipt.content;
    if (outcome === 'published') {
      const tensors = await this.#tensorsOf(output, signal); // it may have been damaged since it was verified
      const adopted = await adopt(receipt.content, tensors);
      store.recordReceipt(federation.hash, receipt);
      onEvent({ event: 'adopted', round, adapter: output, folder: adopted, bytesReceived: received });
    } else {
      store.recordReceipt(federation.hash, receipt);
    }
    this.#last = receipt;
    this.#verified = null;
    for (const hash of fetched) if (hash !== output) await blobs.delete(hash);
  }

  /** Fetches a round's receipt and what it takes to check it, and checks it. Throws the first thing that is wrong. */
  async #verify(round: RoundNumber, signal?: AbortSignal): Promise<VerifiedRound> {
    const { federation, link, verify, verifyRound, onEvent } = this.#components;
    const options = signal ? { signal } : {};
    const envelope = await link.askForReceipt(round, options);
    const full = verify === 'full';
    const envelopes = full && opened(envelope) !== undefined ? await link.askForEvidence(round, options) : null;
    const lists = await this.#revocations.namedBy([opened(envelope)?.content, this.#last?.content], signal);
    const fetched: Sha256[] = [];
    const { received, missing, size } = await this.#gather(envelope, fetched, signal);
    const verification = await verifyRound(
      {
        receipt: envelope,
        manifest: federation.bytes,
        previous: this.#last?.bytes ?? null,
        own: this.#own(round, envelope),
        recompute: full,
        envelopes,
        revocations: lists,
        newestRevocations: this.#revocations.newest?.bytes ?? null,
      },
      size,
      signal,
    );
    const { checked, receipt } = verification;
    // Every blob had its hash when it was gathered: what has another now, this disk has damaged since.
    const damaged = verification.failures.find(({ code }) => code === 'BLOB_MISMATCH');
    if (damaged) throw new PrefmeshError('BLOB_UNAVAILABLE', { hash: String(damaged.details.hash) });
    const failures = [...verification.failures, ...missing];
    if (receipt === null || failures.length > 0) {
      onEvent({ event: 'receipt-refused', round, codes: failures.map(({ code }) => code) });
      throw failures[0]!;
    }
    this.#revocations.remember(lists);
    const { outcome, reason, figures } = receipt.content;
    onEvent({ event: 'receipt-verified', round, receipt: receipt.hash, outcome, reason, checked, figures });
    return { receipt, received, fetched };
  }

  /**
   * Holds the log against the receipt, cosigns it if this node is a witness and has repeated the round, and makes sure
   * of as many cosignatures as the manifest wants; the own repetition counts as one.
   */
  async #agreeOnLog({ content, bytes }: OpenedReceipt, signal?: AbortSignal): Promise<void> {
    const { federation, identity, link, clock, verify, onEvent } = this.#components;
    const { required } = federation.content.witnesses;
    const participants = unrevokedWitnesses(federation, this.#revocations.revokedBy(content));
    const checkpoint = await this.#log.check(bytes, signal);
    const others = cosigners(checkpoint, participants).filter((id) => id !== identity.id);
    const isWitness = verify === 'full' && participants.includes(identity.id);
    if (isWitness) {
      const seenAt = Math.floor(clock.now() / 1000);
      await link.cosign(cosignCheckpoint(identity, this.#log.withNext(bytes), seenAt), signal ? { signal } : {});
    }
    const found = others.length + (isWitness ? 1 : 0);
    if (found < required) throw new PrefmeshError('COSIGNATURES_MISSING', { round: content.round, found, required });
    onEvent({ event: 'log-checked', receipts: checkpoint.size, cosignatures: found });
  }

  /** What this node sent in the round and was told is accepted, as the receipt ought to list it. */
  #own(round: RoundNumber, envelope: Uint8Array): VerificationTask['own'] {
    const { federation, identity, store } = this.#components;
    const update = store.update(federation.hash, round);
    if (update?.status !== 'accepted') return null;
    const offers = store.offers(federation.hash, round);
    const signer = opened(envelope)?.sender;
    // What one aggregator promised does not bind another, which may have taken over without the update.
    const promised =
      federation.content.aggregators.length === 1 || acknowledgers(store, federation.hash, round).includes(signer!);
    if (!promised) return null;
    // The same update may have been offered by several messages, of which the aggregator counts the first it took.
    const listed = opened(envelope)?.content;
    const entry = listed && updateOf(listed, identity.id);
    const counted = offers.find((offer) => offer === entry?.envelope) ?? offers.at(-1)!;
    return { sender: identity.id, envelope: counted, blob: update.blob };
  }

  /**
   * Fetches the blobs that the receipt speaks of, and notes those that were not here before; `received` is how many
   * bytes came, `size` how many there are. An update that nobody
   * serves is left to the verification to miss; an adapter that nobody serves rightly is a failure of its own.
   */
  async #gather(
    envelope: Uint8Array,
    fetched: Sha256[],
    signal?: AbortSignal,
  ): Promise<{ received: number; size: number; missing: PrefmeshError[] }> {
    const { federation, store, blobs, verify } = this.#components;
    const missing: PrefmeshError[] = [];
    const receipt = opened(envelope)?.content;
    if (receipt === undefined) return { received: 0, size: 0, missing };
    const inputs = receipt.updates.filter(({ verdict }) => verdict === 'accepted').map(({ blob }) => blob);
    const before = this.#last?.content.optimizerState ?? null; // what the server optimiser remembered
    const repeated = [receipt.parent, ...(before === null ? [] : [before]), ...inputs];
    const wanted = new Set(verify === 'full' ? [receipt.output, ...repeated] : [receipt.output]);
    let [received, size] = [0, 0];
    await beside([...wanted], LIMITS.blobsAtOnce.value, async (hash) => {
      try {
        const bytes = await this.#fetch(hash, signal);
        if (bytes > 0) fetched.push(hash);
        received += bytes;
        size += (await blobs.size(hash)) ?? 0;
      } catch (error) {
        if (!isPrefmeshError(error) || error.exitCode === 4) throw error;
        if (hash === receipt.output) missing.push(error);
      }
    });
    store.countBytes(federation.hash, 0, received);
    return { received, size, missing };
  }

  /** Makes a blob be here and whole: one that the own disk has damaged is no fault of whoever made it, and fetched anew. */
  async #fetch(hash: Sha256, signal?: AbortSignal): Promise<number> {
    const { blobs, client, link } = this.#components;
    try {
      if (await blobs.has(hash)) {
        await blobs.verify(hash);
        return 0;
      }
    } catch (error) {
      if (!isPrefmeshError(error, 'BLOB_MISSING') && !isPrefmeshError(error, 'BLOB_CORRUPT')) throw error;
    }
    const from = await link.locate(signal);
    const options = { from: [from], maxBytes: LIMITS.blobSize.value, ...(signal && { signal }) };
    return (await client.fetch(hash, options)).transferred;
  }
}

function opened(envelope: Uint8Array): OpenedReceipt | undefined {
  try {
    return openReceipt(envelope);
  } catch {
    return undefined; // the verification says what is wrong with it
  }
}
