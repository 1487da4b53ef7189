/**
 * Peers as people and manifests write them: a peer id (`12D3Koo…`) or a multiaddr (`/ip4/203.0.113.7/tcp/4001/p2p/…`).
 */
import type { Ed25519PrivateKey, PeerId } from '@libp2p/interface';
import { privateKeyFromRaw } from '@libp2p/crypto/keys';
import { peerIdFromString } from '@libp2p/peer-id';
import { type Multiaddr, multiaddr } from '@multiformats/multiaddr';
import { PrefmeshError } from '../../protocol/errors.ts';
import { type Identity, type ParticipantId, parseParticipantId, publicKeyOf } from '../../protocol/identity.ts';

/** A peer id, or a multiaddr where it listens. */
export type PeerAddress = ParticipantId | (string & {});

/** @throws ADDRESS_INVALID */
export function parsePeerAddress(text: PeerAddress): PeerId | Multiaddr {
  try {
    if (!text.startsWith('/')) return peerIdFromString(parseParticipantId(text));
    const address = multiaddr(text);
    const named = peerIn(address);
    if (named !== undefined) parseParticipantId(named);
    return address;
  } catch (error) {
    throw new PrefmeshError('ADDRESS_INVALID', { address: text }, { cause: error });
  }
}

/** An address to listen on. @throws ADDRESS_INVALID */
export function parseListenAddress(text: string): Multiaddr {
  try {
    return multiaddr(text);
  } catch (error) {
    throw new PrefmeshError('ADDRESS_INVALID', { address: text }, { cause: error });
  }
}

/** The peer id that an address ends in, if it names one. */
export function peerIn(address: Multiaddr): string | undefined {
  return address.getComponents().findLast(({ name }) => name === 'p2p')?.value;
}

/** Every name of the protocol is the peer id of an Ed25519 key; peers with other keys take no part. @throws BAD_IDENTITY */
export function participantOf(peer: PeerId): ParticipantId {
  return parseParticipantId(peer.toString());
}

/** As `participantOf`, or undefined for a peer whose name is none of ours. */
export function asParticipant(peer: PeerId): ParticipantId | undefined {
  return peer.type === 'Ed25519' ? participantOf(peer) : undefined;
}

/** The protocol's identity as libp2p wants it: seed and public key, 64 bytes. */
export function libp2pKey(identity: Identity): Ed25519PrivateKey {
  const { d } = identity.privateKey.export({ format: 'jwk' });
  const raw = Buffer.concat([Buffer.from(String(d), 'base64url'), publicKeyOf(identity.id)]);
  const key = privateKeyFromRaw(raw);
  if (key.type !== 'Ed25519') throw new TypeError('not an Ed25519 key');
  return key;
}
