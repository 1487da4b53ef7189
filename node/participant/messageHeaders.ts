/**
 * The part that all messages of one sender have in common: what they are about, their number, and how long they count.
 */
import { randomBytes } from 'node:crypto';
import { LIMITS } from '../../protocol/limits.ts';
import type { MessageHeader } from '../../protocol/messages.ts';
import type { RoundNumber, Sha256 } from '../../protocol/names.ts';

export class MessageHeaders {
  readonly #federation: Sha256;
  readonly #now: () => number;
  #sequence = 0;

  /** @param now milliseconds since 1970 */
  constructor(federation: Sha256, now: () => number) {
    this.#federation = federation;
    this.#now = now;
  }

  /**
   * The header of the next message. Numbers follow the clock where it is ahead of them, so that a sender which lost
   * its count in a restart still counts up.
   */
  next(round: RoundNumber): MessageHeader {
    const now = this.#now();
    this.#sequence = Math.max(this.#sequence + 1, now);
    return {
      federation: this.#federation,
      round,
      sequence: this.#sequence,
      nonce: randomBytes(16).toString('hex'),
      issuedAt: now,
      expiresAt: now + LIMITS.requestLifetime.value,
    };
  }
}
