/**
 * Which messages were seen before.
 *
 * Expiry alone lets a captured message be played again until it expires, and for longer when a clock is set back. So
 * every sender numbers its messages upwards, and a receiver keeps, per sender, the newest numbers it has taken and a
 * floor under which all are refused: the sliding window of IPsec (RFC 4303, section 3.4.3), counted in messages. It
 * needs no clock and a bounded amount of memory.
 *
 * Senders number by `max(last + 1, milliseconds since 1970)`, so that one who has lost its counter still counts up.
 */
import type { ParticipantId } from './identity.ts';
import { LIMITS } from './limits.ts';

/** What `openMessage` asks. An aggregator's is durable; `ReplayWindow` is the rule itself. */
export interface ReplayTable {
  /** Whether the message was taken before, or is too old to tell. */
  seen(sender: ParticipantId, sequence: number): boolean;
  /** Remembers a message. Called once its signature is known to be good, never before. */
  record(sender: ParticipantId, sequence: number): void;
}

/** One sender's part of the table, as it is kept: plain JSON. */
export interface SenderWindow {
  /** Sequence numbers up to this one are refused. */
  floor: number;
  /** Numbers above the floor that were taken, ascending. */
  taken: number[];
}

export class ReplayWindow implements ReplayTable {
  readonly #senders: Map<ParticipantId, SenderWindow>;

  /** Starts from what `entries` gave before. */
  constructor(entries: Iterable<readonly [ParticipantId, SenderWindow]> = []) {
    this.#senders = new Map([...entries].map(([sender, window]) => [sender, copyOf(window)]));
  }

  seen(sender: ParticipantId, sequence: number): boolean {
    const window = this.#senders.get(sender);
    return window !== undefined && (sequence <= window.floor || window.taken.includes(sequence));
  }

  record(sender: ParticipantId, sequence: number): void {
    const window = advanceWindow(this.#senders.get(sender), sequence);
    this.#senders.delete(sender);
    this.#senders.set(sender, window);
    if (this.#senders.size > LIMITS.replaySenders.value) this.#forgetQuietest();
  }

  /** Drops the sender that has been silent the longest; its old messages are still refused once they expire. */
  #forgetQuietest(): void {
    for (const sender of this.#senders.keys()) {
      this.#senders.delete(sender);
      return;
    }
  }

  /** The window of one sender after the last `record`, for a store to keep. */
  windowOf(sender: ParticipantId): SenderWindow | undefined {
    const window = this.#senders.get(sender);
    return window && copyOf(window);
  }

  /** All there is to keep. */
  entries(): [ParticipantId, SenderWindow][] {
    return [...this.#senders].map(([sender, window]) => [sender, copyOf(window)]);
  }
}

function copyOf({ floor, taken }: SenderWindow): SenderWindow {
  return { floor, taken: [...taken] };
}

/** The window with one more number in it; the oldest falls out, and becomes the floor, when it is full. */
function advanceWindow(window: SenderWindow | undefined, sequence: number): SenderWindow {
  const taken = [...(window?.taken ?? []), sequence].sort((a, b) => a - b);
  let floor = window?.floor ?? 0;
  while (taken.length > LIMITS.replayWindow.value) floor = taken.shift()!;
  return { floor, taken };
}
