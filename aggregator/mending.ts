/** What an aggregator does before it counts an accepted update as lost. */
import type { BlobClient } from '../node/network/blob/client.ts';
import type { Ledger } from './ledger.ts';
import { LostUpdate } from './rounds.ts';

export interface MendingComponents {
  readonly ledger: Pick<Ledger, 'senderOf'>;
  readonly client: Pick<BlobClient, 'fetch'>;
}

/** Aggregates; an update that was damaged on this disk is asked of its sender once more. Throws LostUpdate. */
export async function mending<Made>(
  aggregate: () => Promise<Made>,
  { ledger, client }: MendingComponents,
  signal: AbortSignal,
): Promise<Made> {
  try {
    return await aggregate();
  } catch (error) {
    if (!(error instanceof LostUpdate)) throw error;
    const sender = ledger.senderOf(error.blob);
    await client.fetch(error.blob, { from: sender === undefined ? [] : [sender], signal }).catch(() => {
      throw error;
    });
    return aggregate();
  }
}
