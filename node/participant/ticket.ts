/**
 * A ticket: all that somebody needs in order to join a federation, as one line of text to paste.
 *
 * It holds the federation's id, addresses to enter the network by, and maybe an invite. The id is the manifest's
 * hash, so a manifest fetched from whoever answers at those addresses is the right one or is refused.
 */
import { z } from 'zod';
import { decode, encode } from '../../protocol/codec.ts';
import { bytesSchema } from '../../protocol/envelope.ts';
import { PrefmeshError, isPrefmeshError } from '../../protocol/errors.ts';
import { LIMITS } from '../../protocol/limits.ts';
import { sha256Schema } from '../../protocol/names.ts';

const ticketSchema = z.strictObject({
  federation: sha256Schema,
  /** Multiaddrs of an aggregator or of any node of the network. */
  addresses: z.array(z.string().min(1).max(LIMITS.address.value)).max(LIMITS.addresses.value),
  /** An invite's envelope. */
  invite: bytesSchema.nullable(),
});

export type Ticket = z.infer<typeof ticketSchema>;

const PREFIX = 'prefmesh:';

export function ticketText(ticket: Ticket): string {
  return PREFIX + Buffer.from(encode(ticket)).toString('base64url');
}

export function isTicketText(text: string): boolean {
  return text.trim().startsWith(PREFIX);
}

/** Throws TICKET_INVALID. */
export function parseTicket(text: string): Ticket {
  const encoded = text.trim().slice(PREFIX.length);
  if (!isTicketText(text) || !/^[A-Za-z0-9_-]+$/.test(encoded)) {
    throw new PrefmeshError('TICKET_INVALID', { problem: `not a text that begins with ${PREFIX}` });
  }
  try {
    const bytes = new Uint8Array(Buffer.from(encoded, 'base64url'));
    return decode(bytes, ticketSchema, { what: 'ticket', maxBytes: LIMITS.message.value });
  } catch (error) {
    if (!isPrefmeshError(error)) throw error;
    throw new PrefmeshError('TICKET_INVALID', { problem: error.message }, { cause: error });
  }
}
