/** Who said that an update is accepted: where there are several aggregators, what one said does not bind another. */
import { decodeEnvelope } from '../../protocol/envelope.ts';
import type { ParticipantId } from '../../protocol/identity.ts';
import { LIMITS } from '../../protocol/limits.ts';
import type { RoundNumber, Sha256 } from '../../protocol/names.ts';
import type { ParticipantStore } from './store.ts';

/** The aggregators whose acknowledgement of the round's update was kept. */
export function acknowledgers(
  store: Pick<ParticipantStore, 'acknowledged'>,
  federation: Sha256,
  round: RoundNumber,
): ParticipantId[] {
  return store
    .acknowledged(federation)
    .filter((offer) => offer.round === round)
    .map(({ acknowledgement }) => decodeEnvelope(acknowledgement, LIMITS.message.value).sender);
}
