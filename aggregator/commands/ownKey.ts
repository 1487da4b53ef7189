import { DataFolder, dataPaths } from '../../node/storage/dataFolder.ts';
import { openIdentity, readIdentity } from '../../node/storage/keys.ts';
import type { Identity } from '../../protocol/identity.ts';

/** The key of a data folder, also while a node runs there; made where there is none yet. */
export async function ownKey(home: string): Promise<Identity> {
  const stored = await readIdentity(dataPaths(home).identityKey);
  if (stored !== undefined) return stored;
  using folder = await DataFolder.open(home);
  return await openIdentity(folder);
}
