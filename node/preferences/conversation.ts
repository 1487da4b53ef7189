/**
 * A pair of conversations, taken apart: the messages that ask, and the messages of each answer.
 *
 * Without a prompt of their own, chosen and rejected are whole conversations; the messages at which both begin are the
 * prompt. An answer is what the model would write: it holds no user's or system's message, for those would be scored.
 */
import type { ChatMessage } from '../model/chatTemplate.ts';

export interface PairOfConversations {
  readonly prompt: readonly ChatMessage[];
  readonly chosen: readonly ChatMessage[];
  readonly rejected: readonly ChatMessage[];
}

/** What is wrong with a pair, and in which field. */
export interface ConversationProblem {
  readonly field: 'prompt' | 'chosen' | 'rejected';
  readonly problem: string;
}

/** Parts at the first message in which the two differ; equal conversations part before their last message. */
export function withoutSharedMessages(
  chosen: readonly ChatMessage[],
  rejected: readonly ChatMessage[],
): PairOfConversations {
  const most = Math.min(chosen.length, rejected.length) - 1; // each keeps at least one message
  let shared = 0;
  while (shared < most && sameMessage(chosen[shared]!, rejected[shared]!)) shared++;
  return { prompt: chosen.slice(0, shared), chosen: chosen.slice(shared), rejected: rejected.slice(shared) };
}

/** What keeps a pair from being trained on; null if nothing does. */
export function conversationProblem({ prompt, chosen, rejected }: PairOfConversations): ConversationProblem | null {
  for (const [field, answer] of [
    ['chosen', chosen],
    ['rejected', rejected],
  ] as const) {
    const asking = answer.find(({ role }) => role === 'user' || role === 'system');
    if (asking !== undefined) {
      return { field, problem: `has a message of role ${asking.role} in the answer, which would be scored` };
    }
  }
  if (prompt.length === 0) {
    return { field: 'prompt', problem: 'is missing, and chosen and rejected do not begin with the same message' };
  }
  if (prompt.at(-1)!.role === 'assistant') {
    return { field: 'prompt', problem: "ends with an assistant's message, so there is nothing left to answer" };
  }
  return null;
}

function sameMessage(a: ChatMessage, b: ChatMessage): boolean {
  return JSON.stringify(sorted(a)) === JSON.stringify(sorted(b));
}

function sorted(message: ChatMessage): unknown {
  return Object.entries(message).sort(([a], [b]) => (a < b ? -1 : 1));
}
