/**
 * The gossip service, set up for announcements and nothing else.
 *
 * Only topics that were admitted exist for it: a peer's subscriptions to others are dropped before they take memory.
 * A topic is admitted together with its score parameters, because gossipsub scores nothing on a topic that has none,
 * invalid messages included.
 */
import { type GossipSub, StrictSign, gossipsub } from '@libp2p/gossipsub';
import { type PeerScoreParams, createTopicScoreParams } from '@libp2p/gossipsub/score';
import { LIMITS } from '../../protocol/limits.ts';
import type { Preset } from './presets.ts';

export function gossipService({
  oneAddressManyPeers,
}: Pick<Preset, 'oneAddressManyPeers'>): ReturnType<typeof gossipsub> {
  return gossipsub({
    globalSignaturePolicy: StrictSign,
    allowedTopics: [],
    fallbackToFloodsub: false,
    allowPublishToZeroTopicPeers: true, // an announcement that nobody hears yet is no error: who comes later asks
    doPX: false,
    canRelayMessage: false,
    emitSelf: false,
    maxInboundDataLength: LIMITS.gossipFrame.value,
    maxOutboundBufferSize: LIMITS.gossipOutbound.value,
    maxTopicBytesPerPeer: LIMITS.gossipTopicMemory.value,
    maxInboundStreams: LIMITS.gossipStreams.value,
    maxOutboundStreams: LIMITS.gossipStreams.value,
    scoreParams: oneAddressManyPeers ? { IPColocationFactorWeight: 0 } : {},
  });
}

/** What is read and changed of the running service; its own type shows only the public face. */
interface Internals {
  readonly allowedTopics: Set<string> | null;
  readonly score: { readonly params: PeerScoreParams };
}

/**
 * Lets a topic in.
 * Peers whose subscription came before this are not known as listeners until they connect again: who publishes on a
 * topic admits it before it connects to anybody.
 */
export function admitTopic(service: GossipSub, topic: string): void {
  const { allowedTopics, score } = service as unknown as Internals;
  if (!(allowedTopics instanceof Set)) throw new TypeError('gossip runs without a list of admitted topics');
  allowedTopics.add(topic);
  score.params.topics[topic] = createTopicScoreParams({
    topicWeight: 1,
    // Announcements are rare: nobody earns by time or owes a number of deliveries a second.
    timeInMeshWeight: 0,
    meshMessageDeliveriesWeight: 0,
    meshFailurePenaltyWeight: 0,
    // The penalty is 20 times the square of the count: at the third invalid message a peer is graylisted (below -80)
    // and no longer read, for 40 seconds; after six minutes all is forgotten. It begins at most a second or 128
    // messages late, for so long gossipsub trusts the last good score that it saw.
    invalidMessageDeliveriesWeight: -20,
    invalidMessageDeliveriesDecay: 0.99,
  });
}

export function dismissTopic(service: GossipSub, topic: string): void {
  const { allowedTopics } = service as unknown as Internals;
  allowedTopics?.delete(topic);
}
