/**
 * What a node is and where its federations stand, read from its data folder without disturbing a node that runs there.
 */
import { existsSync } from 'node:fs';
import { DatabaseSync } from 'node:sqlite';
import type { ParticipantId } from '../../protocol/identity.ts';
import type { OpenedManifest } from '../../protocol/manifest.ts';
import { openRevocations } from '../../protocol/revocations.ts';
import { dataPaths } from '../storage/dataFolder.ts';
import { readIdentity } from '../storage/keys.ts';
import { currentAdapter, federationAdapters } from './adapterFolders.ts';
import { ParticipantStore } from './store.ts';
import type { Membership, MembershipStatus, OwnUpdate, Standing } from './store.ts';

export interface FederationStatus {
  readonly federation: string;
  readonly name: string;
  readonly status: MembershipStatus;
  readonly consent: string;
  readonly pairs: number;
  readonly pairsFile: string;
  readonly rounds: number;
  /** Where the federation stood when its aggregator was last heard; null before. */
  readonly standing: Standing | null;
  /** The last round whose receipt was verified here; 0 before the first. */
  readonly verifiedRound: number;
  /** Hash of the adapter after that round. */
  readonly adapter: string;
  /** PEFT folder of the adapter in use; null before the first. */
  readonly folder: string | null;
  readonly updates: readonly Pick<OwnUpdate, 'round' | 'factor' | 'blob' | 'bytes' | 'status' | 'code'>[];
  /** Signed notes of the aggregator that cannot both be true: proof that it told two histories. */
  readonly forks: readonly { readonly known: string | null; readonly found: string | null }[];
  /** The owner's newest list of revocations that is known here, and whether this node's key is on it. */
  readonly revocations: { readonly version: number; readonly keys: number; readonly own: boolean } | null;
  readonly bytesSent: number;
  readonly bytesReceived: number;
}

export interface NodeStatus {
  /** Null where the folder has no key yet. */
  readonly id: ParticipantId | null;
  readonly home: string;
  /** Whether a process holds the folder. */
  readonly running: boolean;
  readonly federations: readonly FederationStatus[];
}

/** @throws KEY_CORRUPT, KEY_EXPOSED, DATABASE_CORRUPT, DATABASE_NEWER */
export async function nodeStatus(home: string): Promise<NodeStatus> {
  const paths = dataPaths(home);
  const id = (await readIdentity(paths.identityKey))?.id ?? null;
  if (!existsSync(paths.database)) return { id, home: paths.root, running: false, federations: [] };
  const running = isHeld(paths.lock);
  using store = ParticipantStore.open(paths.database, { readOnly: true });
  const federations = store.memberships().map((each) => statusOf(each, store, paths.adapters, id));
  return { id, home: paths.root, running, federations };
}

function statusOf(
  membership: Membership,
  store: ParticipantStore,
  adapters: string,
  id: ParticipantId | null,
): FederationStatus {
  const { federation, status, consent, pairs, standing, bytesSent, bytesReceived } = membership;
  const { hash, content } = federation;
  const last = store.lastReceipt(hash)?.content;
  return {
    federation: hash,
    name: content.name,
    status,
    consent,
    pairs: pairs.count,
    pairsFile: pairs.file,
    rounds: content.rounds,
    standing,
    verifiedRound: last?.round ?? 0,
    adapter: last?.output ?? content.adapter.initial,
    folder: currentAdapter(federationAdapters(adapters, hash)),
    updates: store.updates(hash).map(({ round, factor, blob, bytes, status: state, code }) => {
      return { round, factor, blob, bytes, status: state, code };
    }),
    forks: store.forks(hash),
    revocations: revocationsOf(federation, store, id),
    bytesSent,
    bytesReceived,
  };
}

function revocationsOf(
  federation: OpenedManifest,
  store: ParticipantStore,
  id: ParticipantId | null,
): FederationStatus['revocations'] {
  const bytes = store.revocations(federation.hash);
  if (bytes === null) return null;
  const { version, participants } = openRevocations(bytes, federation).content;
  return { version, keys: participants.length, own: id !== null && participants.includes(id) };
}

/** Whether a process has the data folder's lock; looking takes the lock for no longer than a read. */
function isHeld(lock: string): boolean {
  if (!existsSync(lock)) return false;
  const probe = new DatabaseSync(lock, { readOnly: true, timeout: 0 });
  try {
    probe.prepare('SELECT count(*) FROM sqlite_schema').get();
    return false;
  } catch {
    return true;
  } finally {
    probe.close();
  }
}
