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
  readonly #nonce: () => string;
  #sequence = 0;

  /**
   * @param now milliseconds since 1970
   * @param nonce 16 bytes in hexadecimal, never the same twice
   */
  constructor(federation: Sha256, now: () => number, nonce: () => string = randomNonce) {
    this.#federation = federation;
    this.#now = now;
    this.#nonce = nonce;
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
      nonce: this.#nonce(),
      issuedAt: now,
      expiresAt: now + LIMITS.requestLifetime.value,
    };
  }
}

function randomNonce(): string {
  return randomBytes(16).toString('hex');
}
