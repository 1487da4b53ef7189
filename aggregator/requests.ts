/**
 * Answers what participants ask and offer, one signed reply for each signed request.
 *
 * An envelope that fails its checks gets no signed answer: there may be nobody to answer. It is refused by its code,
 * which the transport passes on. What is wrong with a good envelope's request is signed, so that the participant can
 * show it.
 */
import type { MessageHeaders } from '../node/participant/messageHeaders.ts';
import { checkOffer } from '../protocol/aggregation/admission.ts';
import { PrefmeshError, isPrefmeshError } from '../protocol/errors.ts';
import type { ErrorCode } from '../protocol/errors.ts';
import type { Identity, ParticipantId } from '../protocol/identity.ts';
import type { OpenedManifest } from '../protocol/manifest.ts';
import { checkJoin, checkPairs } from '../protocol/membership.ts';
import type { Payload } from '../protocol/messages.ts';
import { openEnvelope, sealMessage } from '../protocol/opening.ts';
import type { OpenedMessage } from '../protocol/opening.ts';
import { roundTermsOf } from '../protocol/roundState.ts';
import type { FederationState, UpdateOffer } from '../protocol/roundState.ts';
import type { AggregatorEvent } from './events.ts';
import { checkNotRevoked } from '../protocol/revocations.ts';
import { invitersOf } from './ledger.ts';
import type { Ledger } from './ledger.ts';
import type { Revoking } from './revoking.ts';
import type { Rounds } from './rounds.ts';

const REQUESTS = ['manifest-query', 'join', 'leave', 'round-query', 'update', 'receipt-query'] as const;
type RequestMessage = OpenedMessage<(typeof REQUESTS)[number]>;
type Reply = 'joined' | 'round-terms' | 'acknowledgement';
/** What a reply says besides its header. */
type ReplyBody<Type extends Reply> = Omit<Payload<Type>, keyof Payload<'joined'>>;

export interface RequestsComponents {
  readonly federation: OpenedManifest;
  readonly identity: Identity;
  readonly ledger: Ledger;
  readonly rounds: Rounds;
  readonly revoking: Pick<Revoking, 'newest'>;
  readonly headers: MessageHeaders;
  /** Milliseconds since 1970. */
  readonly now: () => number;
  /**
   * Pulls the offered blob from its sender, checks it in full and keeps it durably; gives the update's norm. Throws
   * what is wrong with it, or why it could not be pulled.
   */
  readonly takeUpdate: (offer: UpdateOffer, table: string, signal: AbortSignal) => Promise<number>;
  /** Told the last round that a member says it has verified. */
  readonly onKnownRound: (participant: ParticipantId, round: number) => void;
  readonly onEvent: (event: AggregatorEvent) => void;
}

export class Requests {
  readonly #components: RequestsComponents;
  /** The update of each sender that is being looked at: the next one waits for it. */
  readonly #offers = new Map<ParticipantId, Promise<unknown>>();

  constructor(components: RequestsComponents) {
    this.#components = components;
  }

  /**
   * The envelope that answers `bytes`.
   *
   * @param from who sent it over the network; the message itself may be another's, passed on
   * @throws what `openEnvelope` throws, of the envelope itself
   */
  async answer(bytes: Uint8Array, from: ParticipantId, signal: AbortSignal): Promise<Uint8Array> {
    const { federation, identity, ledger, now, onEvent } = this.#components;
    let message: RequestMessage;
    try {
      message = openEnvelope(
        bytes,
        {
          types: REQUESTS,
          federation: federation.hash,
          recipient: identity.id,
          isMember: (sender, type) => this.#maySay(sender, type),
        },
        now(),
        ledger.replay,
      );
    } catch (error) {
      if (isPrefmeshError(error)) onEvent({ event: 'refused', message: null, participant: from, code: error.code });
      throw error;
    }
    switch (message.type) {
      case 'manifest-query':
        return federation.bytes;
      case 'join':
        return this.#join(message);
      case 'leave':
        return this.#leave(message);
      case 'round-query':
        return this.#roundTerms(message);
      case 'update':
        return this.#update(message, signal);
      case 'receipt-query':
        return this.#receipt(message);
    }
  }

  /** Throws KEY_REVOKED: who was a member once is told what became of it. */
  #maySay(sender: ParticipantId, type: RequestMessage['type']): boolean {
    const { federation, rounds, revoking } = this.#components;
    if (type === 'join' || type === 'manifest-query') return true;
    checkNotRevoked(sender, revoking.newest);
    if (rounds.state.members[sender] !== undefined) return true;
    return (type === 'round-query' || type === 'receipt-query') && isAggregator(federation, sender);
  }

  #join(message: OpenedMessage<'join'>): Uint8Array {
    const { federation, ledger, rounds, revoking, now } = this.#components;
    const { sender, payload, hash } = message;
    try {
      const inviters = invitersOf(ledger.usedInvites());
      const context = {
        federation,
        now: now(),
        revocations: revoking.newest,
        members: Object.keys(rounds.state.members) as ParticipantId[],
        usedBy: (serial: string) => ledger.usedBy(serial),
        inviterOf: (guest: ParticipantId) => inviters.get(guest),
      };
      const invite = checkJoin({ sender, invite: payload.invite, pairsBucket: payload.pairsBucket }, context);
      const used = invite && { serial: invite.content.serial, participant: sender, inviter: invite.sender };
      const event = { type: 'joined', at: now(), participant: sender, request: hash } as const;
      const code = rounds.feed(event, used ? { invite: used } : undefined, (state) => {
        return { event: 'joined', participant: sender, pairsBucket: payload.pairsBucket, members: memberCount(state) };
      });
      if (code) return this.#refuse(message, code);
    } catch (error) {
      if (!isPrefmeshError(error)) throw error;
      return this.#refuse(message, error.code);
    }
    return this.#reply(message, 'joined', {});
  }

  #leave(message: OpenedMessage<'leave'>): Uint8Array {
    const { rounds, now } = this.#components;
    const { sender, hash } = message;
    rounds.feed({ type: 'left', at: now(), participant: sender, request: hash }, undefined, (state) => {
      return { event: 'left', participant: sender, members: memberCount(state) };
    });
    return this.#reply(message, 'acknowledgement', { verdict: 'accepted', code: null });
  }

  #roundTerms(message: OpenedMessage<'round-query'>): Uint8Array {
    const { rounds, now, onKnownRound } = this.#components;
    onKnownRound(message.sender, message.payload.round);
    rounds.feed({ type: 'present', at: now(), participant: message.sender });
    const { round: _, ...terms } = roundTermsOf(rounds.state, message.sender);
    return this.#reply(message, 'round-terms', terms);
  }

  #receipt(message: OpenedMessage<'receipt-query'>): Uint8Array {
    const receipt = this.#components.ledger.receipt(message.payload.round);
    return receipt?.envelope ?? this.#refuse(message, 'ROUND_NOT_PUBLISHED');
  }

  async #update(message: OpenedMessage<'update'>, signal: AbortSignal): Promise<Uint8Array> {
    const { sender } = message;
    const before = this.#offers.get(sender) ?? Promise.resolve();
    const offer = before.then(() => this.#consider(message, signal));
    this.#offers.set(
      sender,
      offer.catch(() => undefined),
    );
    return offer;
  }

  async #consider(message: OpenedMessage<'update'>, signal: AbortSignal): Promise<Uint8Array> {
    const { federation, rounds, now, takeUpdate } = this.#components;
    const { sender, payload, hash, bytes } = message;
    const { round, factor, parent, blob, pairsBucket, table } = payload;
    const offer: UpdateOffer = {
      sender,
      envelope: hash,
      blob,
      bytes: payload.bytes,
      pairsBucket,
      round,
      factor,
      parent,
    };
    const row = { round, sender, envelopeHash: hash, envelope: bytes, blob };
    const refuse = (code: ErrorCode): Uint8Array => {
      const event = { type: 'update-refused', at: now(), offer, code } as const;
      rounds.feed(event, { update: { ...row, code } });
      return this.#refuse(message, code);
    };

    const verdict = checkOffer(rounds.state, offer, now());
    if (verdict === 'accepted before')
      return this.#reply(message, 'acknowledgement', { verdict: 'accepted', code: null });
    if (verdict instanceof PrefmeshError) return refuse(verdict.code);
    let norm: number;
    try {
      checkPairs(pairsBucket, federation.content.privacy.minimumPairs);
      norm = await takeUpdate(offer, table, signal);
    } catch (error) {
      if (!isPrefmeshError(error)) throw error;
      // What could not be pulled may come another time, and what this disk has lost may be mended by then: neither says
      // anything about the update.
      const lost = ['PEER_REFUSED', 'BLOB_MISSING', 'BLOB_CORRUPT'].includes(error.code);
      const pulled = error.exitCode !== 4 && !lost;
      if (pulled) return refuse(error.code);
      return this.#refuse(message, error.code === 'PEER_RELAYED' ? error.code : 'BLOB_UNAVAILABLE');
    }
    // The blob is on disk; with this commit the acceptance is too, and only then is it signed.
    const commitment = { update: { ...row, code: null } };
    const code = rounds.feed({ type: 'update-accepted', at: now(), offer }, commitment, (state) => {
      const [accepted, cohort] = 'accepted' in state ? [state.accepted.length, state.cohort.length] : [0, 0];
      const { bytes: size } = offer;
      return { event: 'update-accepted', round, participant: sender, blob, bytes: size, norm, accepted, cohort };
    });
    if (code) return this.#refuse(message, code);
    return this.#reply(message, 'acknowledgement', { verdict: 'accepted', code: null });
  }

  #refuse(message: RequestMessage, code: ErrorCode): Uint8Array {
    this.#components.onEvent({ event: 'refused', message: message.type, participant: message.sender, code });
    return this.#reply(message, 'acknowledgement', { verdict: 'refused', code });
  }

  #reply<Type extends Reply>(message: RequestMessage, type: Type, body: ReplyBody<Type>): Uint8Array {
    const { identity, headers, rounds } = this.#components;
    const header = { ...headers.next(rounds.state.round), recipient: message.sender, request: message.hash };
    return sealMessage(identity, type, { ...header, ...body } as unknown as Payload<Type>).bytes;
  }
}

/** Aggregators ask each other where the federation stands, and copy each other's logs. */
function isAggregator({ content }: OpenedManifest, id: ParticipantId): boolean {
  return content.aggregators.some((aggregator) => aggregator.id === id);
}

function memberCount({ members }: FederationState): number {
  return Object.keys(members).length;
}
