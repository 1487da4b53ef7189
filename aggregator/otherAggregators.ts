/**
 * The other aggregators of a federation, as one of them sees them: who of them runs the rounds, how long their logs
 * are, and copying one, every round of it verified.
 */
import { openCheckpoint } from '../protocol/checkpoint.ts';
import { continuedFrom } from '../protocol/continuation.ts';
import { decodeEnvelope, envelopeHash } from '../protocol/envelope.ts';
import { PrefmeshError, isPrefmeshError } from '../protocol/errors.ts';
import type { Identity, ParticipantId } from '../protocol/identity.ts';
import { LIMITS } from '../protocol/limits.ts';
import type { OpenedManifest } from '../protocol/manifest.ts';
import type { Payload } from '../protocol/messages.ts';
import { leafHash, rootOfLeaves, verifyConsistency } from '../protocol/merkle.ts';
import { roundNumber } from '../protocol/names.ts';
import type { Sha256 } from '../protocol/names.ts';
import { openEnvelope, sealMessage } from '../protocol/opening.ts';
import { openReceipt } from '../protocol/receipt.ts';
import type { Receipt } from '../protocol/receipt.ts';
import { openRevocations } from '../protocol/revocations.ts';
import { ReplayWindow } from '../protocol/replay.ts';
import type { BlobClient } from '../node/network/blob/client.ts';
import { DeadlineError, within } from '../node/network/deadline.ts';
import type { FederationClient } from '../node/network/federation/client.ts';
import type { Host } from '../node/network/host.ts';
import { isRefusal } from '../node/network/refusal.ts';
import type { MessageHeaders } from '../node/participant/messageHeaders.ts';
import { verifyRound } from '../node/participant/roundVerification.ts';
import type { BlobStore } from '../node/storage/blobs.ts';
import { dialAggregator } from './dialAggregator.ts';
import type { Ledger } from './ledger.ts';
import type { Revoking } from './revoking.ts';

type RoundTerms = Payload<'round-terms'>;

export interface OtherAggregatorsComponents {
  readonly federation: OpenedManifest;
  readonly identity: Identity;
  readonly ledger: Ledger;
  readonly revoking: Revoking;
  readonly blobs: BlobStore;
  readonly host: Pick<Host, 'connect'>;
  readonly client: Pick<FederationClient, 'request' | 'evidence' | 'log' | 'revocations' | 'revoke' | 'guests'>;
  readonly blobClient: Pick<BlobClient, 'fetch'>;
  readonly headers: MessageHeaders;
  /** Milliseconds since 1970. */
  readonly now: () => number;
}

/** What another aggregator does: runs the rounds, waits to, or cannot be reached. */
export type Standing =
  | { readonly id: ParticipantId; readonly does: 'run'; readonly terms: RoundTerms }
  | { readonly id: ParticipantId; readonly does: 'wait' | 'nothing' };

/** How the log of another aggregator stands to this one's. */
export interface Comparison {
  readonly id: ParticipantId;
  /** Receipts in its log and in this one's when they were compared. */
  readonly size: number;
  readonly own: number;
  /** Whether the shorter of the two is the beginning of the longer one. */
  readonly sameHistory: boolean;
}

export class OtherAggregators {
  readonly #components: OtherAggregatorsComponents;
  readonly #replay = new ReplayWindow();
  /** The others, in the manifest's order. */
  readonly ids: readonly ParticipantId[];
  /** This one's place in that order, from 0. */
  readonly place: number;

  constructor(components: OtherAggregatorsComponents) {
    this.#components = components;
    const all = components.federation.content.aggregators.map(({ id }) => id);
    this.place = all.indexOf(components.identity.id);
    this.ids = all.filter((id) => id !== components.identity.id);
  }

  /** What each of the others does, in their order. */
  async standings(signal: AbortSignal): Promise<Standing[]> {
    return Promise.all(this.ids.map((id) => this.#standing(id, signal)));
  }

  /**
   * Copies what another's log has and this one's has not, each round verified in full and committed before the next.
   *
   * @throws what is wrong with a round; LOG_FORKED when the two logs are two histories; errors with exit code 4
   */
  async copy({ id, terms }: Extract<Standing, { does: 'run' }>, signal: AbortSignal): Promise<void> {
    const last = terms.phase === 'finished' ? terms.round : terms.round - 1;
    if (this.length > last) return;
    await this.#checkOneHistory(id, signal);
    await this.#learnWhoMayJoin(id, signal);
    while (this.length < last) await this.#copyRound(id, this.length + 1, signal);
  }

  /**
   * How the logs of the others stand to this one's: of those that answer within `LIMITS.successorWait`, and that are
   * signed by whose they are.
   */
  async compare(signal: AbortSignal): Promise<Comparison[]> {
    const found = await Promise.all(this.ids.map((id) => this.#comparison(id, signal)));
    return found.filter((each) => each !== undefined);
  }

  /** Receipts in this aggregator's own log. */
  get length(): number {
    const { ledger } = this.#components;
    let length = this.#known;
    while (ledger.receipt(length + 1) !== undefined) length++;
    this.#known = length;
    return length;
  }
  #known = 0;

  async #standing(id: ParticipantId, signal: AbortSignal): Promise<Standing> {
    const { federation, identity, now } = this.#components;
    try {
      const { hash, reply } = await within(LIMITS.successorWait.value, signal, async (stop) => {
        await this.#connect(id, stop);
        return this.#ask(id, 'round-query', 0, stop);
      });
      const { payload } = openEnvelope(
        reply,
        {
          types: ['round-terms'],
          federation: federation.hash,
          recipient: identity.id,
          request: hash,
          isMember: (sender) => sender === id,
        },
        now(),
        this.#replay,
      );
      return { id, does: 'run', terms: payload };
    } catch (error) {
      signal.throwIfAborted();
      if (!isPrefmeshError(error) && !(error instanceof DeadlineError)) throw error;
      return { id, does: isRefusal(error, 'AGGREGATOR_STANDS_BY') ? 'wait' : 'nothing' };
    }
  }

  /** Connects by the addresses of the manifest, or by what the network knows of the key. */
  async #connect(id: ParticipantId, signal: AbortSignal): Promise<void> {
    const { host, federation } = this.#components;
    const { addresses } = federation.content.aggregators.find((each) => each.id === id)!;
    await dialAggregator(host, id, addresses, signal);
  }

  /** One that cannot be asked says nothing; one whose connection broke, as after a sleep, is asked once more. */
  async #comparison(id: ParticipantId, signal: AbortSignal): Promise<Comparison | undefined> {
    for (let attempt = 0; attempt < 2; attempt++) {
      try {
        return await within(LIMITS.successorWait.value, signal, async (stop) => {
          await this.#connect(id, stop);
          return await this.#compareWith(id, stop);
        });
      } catch (error) {
        signal.throwIfAborted();
        if (error instanceof DeadlineError) return undefined;
        if (!isPrefmeshError(error)) throw error;
      }
    }
    return undefined;
  }

  async #compareWith(id: ParticipantId, signal: AbortSignal): Promise<Comparison> {
    const { size, root } = await this.#logOf(id, 0, signal);
    const own = this.length;
    const leaves = this.#leaves(own);
    if (size <= own) {
      return { id, size, own, sameHistory: Buffer.from(root).equals(rootOfLeaves(leaves.slice(0, size))) };
    }
    const grown = await this.#logOf(id, own, signal);
    return { id, size: grown.size, own, sameHistory: own === 0 || goesOnFrom(leaves, grown) };
  }

  async #checkOneHistory(id: ParticipantId, signal: AbortSignal): Promise<void> {
    const own = this.length;
    if (own === 0) return;
    const found = await this.#logOf(id, own, signal);
    if (!goesOnFrom(this.#leaves(own), found)) throw this.forked({ id, size: found.size, own });
  }

  /** That another's log and this one's are two histories. */
  forked({ id, size, own }: Omit<Comparison, 'sameHistory'>): PrefmeshError {
    const { federation } = this.#components;
    const problem = `the log of aggregator ${id}, ${size} receipts, does not go on from the ${own} receipts here`;
    return new PrefmeshError('LOG_FORKED', { federation: federation.hash, problem });
  }

  /** Another's newest checkpoint, and the proof that it goes on from its first `size` receipts. */
  async #logOf(id: ParticipantId, size: number, signal: AbortSignal): Promise<OtherLog> {
    const { client, federation } = this.#components;
    const { checkpoint, proof } = await client.log(id, federation.hash, size, { signal });
    const found = openCheckpoint(checkpoint);
    if (found.federation !== federation.hash) {
      throw new PrefmeshError('WRONG_FEDERATION', { sender: id, federation: found.federation });
    }
    if (!found.signatures.some(({ signer, seenAt }) => signer === id && seenAt === null)) {
      throw new PrefmeshError('WRONG_AGGREGATOR', { sender: id });
    }
    return { size: found.size, root: found.root, proof };
  }

  #leaves(count: number): Uint8Array[] {
    const { ledger } = this.#components;
    return Array.from({ length: count }, (_, n) => leafHash(ledger.receipt(n + 1)!.envelope));
  }

  /** The newest list of revocations, of both the one that is newer, and who has used which invite. */
  async #learnWhoMayJoin(id: ParticipantId, signal: AbortSignal): Promise<void> {
    const { client, federation, ledger, revoking } = this.#components;
    ledger.storeInvites(await client.guests(id, federation.hash, { signal }));
    try {
      revoking.take(await client.revocations(id, federation.hash, null, { signal }));
    } catch (error) {
      const behind = isPrefmeshError(error, 'REVOCATIONS_STALE') || isRefusal(error, 'REVOCATIONS_MISSING');
      if (!behind) throw error;
      if (revoking.newest) await client.revoke(id, federation.hash, revoking.newest.bytes, { signal });
    }
  }

  /** A list of revocations that a receipt names, kept here from then on. */
  async #listOf(receipt: Receipt | undefined, id: ParticipantId, signal: AbortSignal): Promise<Uint8Array[]> {
    const { client, federation, ledger } = this.#components;
    const hash = receipt?.revocations ?? null;
    if (hash === null) return [];
    const stored = ledger.revocations(hash as Sha256);
    if (stored !== undefined) return [stored];
    const list = openRevocations(await client.revocations(id, federation.hash, hash as Sha256, { signal }), federation);
    ledger.storeRevocations(list);
    return [list.bytes];
  }

  async #copyRound(id: ParticipantId, round: number, signal: AbortSignal): Promise<void> {
    const { federation, ledger, blobs, blobClient, client, now } = this.#components;
    const number = roundNumber(round);
    const { reply: envelope } = await this.#ask(id, 'receipt-query', number, signal);
    const { content } = openReceipt(envelope);
    const envelopes = await client.evidence(id, federation.hash, number, { signal });
    const before = ledger.receipt(round - 1);
    const previous = before && openReceipt(before.envelope);
    const inputs = content.updates.filter(({ verdict }) => verdict === 'accepted').map(({ blob }) => blob);
    const states = [previous?.content.optimizerState, content.optimizerState];
    const wanted = [content.parent, content.output, content.candidate, ...states, ...inputs];
    let size = 0;
    for (const hash of new Set(wanted.filter((each) => each !== null && each !== undefined))) {
      const fetched = await blobClient.fetch(hash, { from: [id], maxBytes: LIMITS.blobSize.value, signal });
      size += fetched.size;
    }
    const revocations = [
      ...(await this.#listOf(previous?.content, id, signal)),
      ...(await this.#listOf(content, id, signal)),
    ];
    const task = { receipt: envelope, manifest: federation.bytes, previous: before?.envelope ?? null, own: null };
    const { failures, receipt } = await verifyRound(
      {
        ...task,
        blobs: blobs.folder,
        envelopes,
        revocations,
        newestRevocations: this.#components.revoking.newest?.bytes ?? null,
      },
      size,
      signal,
    );
    if (failures.length > 0 || receipt === null) throw failures[0]!;
    const messages = new Map(envelopes.map((each) => [hashOfMessage(each), each]));
    ledger.adopt(continuedFrom(ledger.state, receipt, now()), receipt, messages);
  }

  async #ask(
    id: ParticipantId,
    type: 'round-query' | 'receipt-query',
    round: number,
    signal: AbortSignal,
  ): Promise<{ hash: Sha256; reply: Uint8Array }> {
    const { identity, headers, client } = this.#components;
    const payload = { ...headers.next(roundNumber(round)), recipient: id };
    const { bytes, hash } = sealMessage(identity, type, payload);
    return { hash, reply: await client.request(id, bytes, { signal }) };
  }
}

interface OtherLog {
  readonly size: number;
  readonly root: Uint8Array;
  readonly proof: readonly Uint8Array[];
}

function goesOnFrom(leaves: readonly Uint8Array[], { size, root, proof }: OtherLog): boolean {
  const own = { oldSize: leaves.length, oldRoot: rootOfLeaves(leaves) };
  return verifyConsistency({ ...own, newSize: size, newRoot: root, proof });
}

function hashOfMessage(envelope: Uint8Array): Sha256 {
  return envelopeHash(decodeEnvelope(envelope, LIMITS.message.value));
}
