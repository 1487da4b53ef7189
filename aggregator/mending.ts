/**
 * What an aggregator does before it counts a blob that its disk has damaged as lost: it asks whoever must have it once
 * more. An update is its sender's; the adapter that a round starts from is with everybody who has adopted it.
 */
import type { BlobClient } from '../node/network/blob/client.ts';
import { isPrefmeshError } from '../protocol/errors.ts';
import type { ParticipantId } from '../protocol/identity.ts';
import { LIMITS } from '../protocol/limits.ts';
import type { Sha256 } from '../protocol/names.ts';
import { openReceipt } from '../protocol/receipt.ts';
import type { FederationState } from '../protocol/roundState.ts';
import type { Ledger } from './ledger.ts';
import { LostUpdate } from './rounds.ts';

export interface MendingComponents {
  readonly ledger: Pick<Ledger, 'senderOf' | 'receipt' | 'state'>;
  readonly client: Pick<BlobClient, 'fetch'>;
}

/**
 * Does work that reads blobs; one that was damaged or is gone is fetched, once, and the work done again. Throws what the
 * work throws of a blob that nobody gives: LostUpdate, BLOB_MISSING, BLOB_CORRUPT.
 */
export async function mending<Made>(
  work: () => Promise<Made>,
  { ledger, client }: MendingComponents,
  signal?: AbortSignal,
): Promise<Made> {
  const mended = new Set<Sha256>();
  for (;;) {
    try {
      return await work();
    } catch (error) {
      const blob = damagedBlob(error);
      if (blob === undefined || mended.has(blob)) throw error;
      mended.add(blob);
      await client.fetch(blob, { from: holders(ledger, blob), ...(signal && { signal }) }).catch(() => {
        throw error;
      });
    }
  }
}

/**
 * Whether somebody ought to have a blob: it is the adapter of this state's round, or a member has sent it. What is on no
 * record is not asked of others on a word alone.
 */
export function isOnRecord(
  blob: Sha256,
  state: Pick<FederationState, 'parent'> | undefined,
  ledger: Pick<Ledger, 'senderOf'>,
): boolean {
  return blob === state?.parent || ledger.senderOf(blob) !== undefined;
}

function damagedBlob(error: unknown): Sha256 | undefined {
  if (error instanceof LostUpdate) return error.blob;
  const damaged = isPrefmeshError(error, 'BLOB_MISSING') || isPrefmeshError(error, 'BLOB_CORRUPT');
  return damaged ? (error.details.hash as Sha256) : undefined;
}

/** Who ought to have a blob: its sender, or for an adapter members, first those who were there in the round before. */
function holders(ledger: MendingComponents['ledger'], blob: Sha256): ParticipantId[] {
  const sender = ledger.senderOf(blob);
  if (sender !== undefined) return [sender];
  const { round, members } = ledger.state;
  const last = ledger.receipt(round - 1);
  const awake = last === undefined ? [] : openReceipt(last.envelope).content.updates.map((update) => update.sender);
  const all = new Set([...awake.filter((id) => members[id]), ...(Object.keys(members) as ParticipantId[])]);
  return [...all].slice(0, LIMITS.mendingPeers.value);
}
