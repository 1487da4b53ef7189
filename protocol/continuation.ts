/**
 * Going on from another aggregator's log: the state that a federation is in after a receipt, for who has not run the
 * round itself.
 *
 * Members are those of the receipt's cohort whom nobody has revoked, so that nobody has to join again; who joined and
 * was never asked joins again. The round after the receipt is open, whatever the other aggregator had taken for it: an update that is in no
 * receipt is offered again by its sender.
 */
import type { ParticipantId } from './identity.ts';
import { roundNumber } from './names.ts';
import type { OpenedReceipt } from './receipt.ts';
import type { FederationState, Member } from './roundState.ts';

/** @param at milliseconds since 1970 */
export function continuedFrom(state: FederationState, { content, hash }: OpenedReceipt, at: number): FederationState {
  const { rules } = state;
  const members: Record<ParticipantId, Member> = { ...state.members };
  const answered = new Set(content.updates.filter(({ verdict }) => verdict === 'accepted').map(({ sender }) => sender));
  const { revocations } = state;
  const cohort = content.cohort.filter((id) => !revocations?.participants.includes(id));
  for (const id of cohort) members[id] = { missed: answered.has(id) ? 0 : (members[id]?.missed ?? 0) + 1 };
  const federation = {
    rules,
    parent: content.output,
    optimizerState: content.optimizerState,
    receipt: hash,
    members,
    revocations,
    openedAt: at,
  };
  return content.round >= rules.rounds
    ? { ...federation, phase: 'finished', round: content.round }
    : { ...federation, phase: 'open', round: roundNumber(content.round + 1), quorumSince: null };
}
