/**
 * Announcements: short signed envelopes that everyone in a federation should hear (a round has opened, a receipt is
 * there), spread by gossip on one topic a federation.
 *
 * Gossip multiplies every byte by the number of neighbours, so nothing large travels here: what is announced is
 * fetched as a blob or by a request. Gossip forgets what it has seen after two minutes, so the caller keeps its own
 * table against replays. Gossip is best effort: what is published while a peer is just connecting may pass it by, so
 * an announcement saves time but nothing may depend on it; whoever must know asks.
 */
import { type Message, type PublishResult, TopicValidatorResult } from '@libp2p/gossipsub';
import type { PeerId } from '@libp2p/interface';
import { PrefmeshError } from '../../protocol/errors.ts';
import { LIMITS } from '../../protocol/limits.ts';
import type { Sha256 } from '../../protocol/names.ts';
import { admitTopic, dismissTopic } from './gossip.ts';
import type { Host } from './host.ts';

/**
 * What to do with an announcement: hear it and pass it on; drop it (stale, seen, not for us); or drop it and hold it
 * against the peer that passed it on (a bad signature, a sender that may not announce).
 */
export type Verdict = 'accept' | 'ignore' | 'reject';

export interface AnnouncementsInit {
  readonly federation: Sha256;
  /** Judges the bytes before they are heard or passed on. What it throws counts as `reject`. */
  readonly validate: (envelope: Uint8Array) => Verdict | Promise<Verdict>;
  /** Hears what `validate` accepted. */
  readonly onAnnouncement: (envelope: Uint8Array) => void;
}

export function announcementTopic(federation: Sha256): string {
  return `/prefmesh/announce/1/${federation}`;
}

export class Announcements implements Disposable {
  readonly #host: Host;
  readonly #init: AnnouncementsInit;
  readonly #topic: string;

  /** Joins the federation's topic. Whoever publishes does this before it connects to anybody; see `admitTopic`. */
  constructor(host: Host, init: AnnouncementsInit) {
    this.#host = host;
    this.#init = init;
    this.#topic = announcementTopic(init.federation);
    const { gossip } = host.libp2p.services;
    admitTopic(gossip, this.#topic);
    gossip.topicValidators.set(this.#topic, (_peer, message) => this.#judge(message));
    gossip.addEventListener('message', this.#hear);
    gossip.subscribe(this.#topic);
  }

  /**
   * Sends an envelope to everyone. Returns to how many neighbours it went; they pass it on.
   * @throws OVERSIZED when it is longer than an announcement may be
   */
  async publish(envelope: Uint8Array): Promise<number> {
    const limit = LIMITS.announcement.value;
    if (envelope.length > limit)
      throw new PrefmeshError('OVERSIZED', { what: 'announcement', bytes: envelope.length, limit });
    const result: PublishResult = await this.#host.libp2p.services.gossip.publish(this.#topic, envelope);
    return result.recipients.length;
  }

  /** Neighbours that listen to this federation's announcements, as far as known. */
  get listeners(): string[] {
    return this.#host.libp2p.services.gossip.getSubscribers(this.#topic).map((peer: PeerId) => peer.toString());
  }

  close(): void {
    const { gossip } = this.#host.libp2p.services;
    gossip.unsubscribe(this.#topic);
    gossip.removeEventListener('message', this.#hear);
    gossip.topicValidators.delete(this.#topic);
    dismissTopic(gossip, this.#topic);
  }

  [Symbol.dispose](): void {
    this.close();
  }

  async #judge({ data }: Message): Promise<TopicValidatorResult> {
    if (data.length > LIMITS.announcement.value) return TopicValidatorResult.Reject;
    try {
      switch (await this.#init.validate(data)) {
        case 'accept':
          return TopicValidatorResult.Accept;
        case 'ignore':
          return TopicValidatorResult.Ignore;
        case 'reject':
          return TopicValidatorResult.Reject;
      }
    } catch {
      return TopicValidatorResult.Reject;
    }
  }

  readonly #hear = ({ detail }: CustomEvent<Message>): void => {
    if (detail.topic === this.#topic) this.#init.onAnnouncement(detail.data);
  };
}
