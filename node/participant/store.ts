/**
 * A participant's memory, in one SQLite file: which federations it joined and on what terms, the update it made for
 * each round, and the receipts it verified.
 *
 * An update is written here before it is first offered, and each message that offers it before that message is sent.
 * So a node that is killed anywhere goes on with the same update, and never makes a second one for the same round.
 */
import { Database } from '../storage/database.ts';
import type { Migration, Sql } from '../storage/database.ts';
import { REVOCATION_TABLE, storedRevocations, storeRevocations } from '../storage/revocationTable.ts';
import type { ErrorCode } from '../../protocol/errors.ts';
import type { SealedEnvelope } from '../../protocol/envelope.ts';
import { openManifest } from '../../protocol/manifest.ts';
import type { OpenedManifest } from '../../protocol/manifest.ts';
import type { Factor } from '../../protocol/messages.ts';
import type { RoundNumber, Sha256 } from '../../protocol/names.ts';
import { openReceipt } from '../../protocol/receipt.ts';
import type { OpenedReceipt } from '../../protocol/receipt.ts';
import type { OpenedRevocations } from '../../protocol/revocations.ts';

/** The schema. */
export const PARTICIPANT_MIGRATIONS: readonly Migration[] = [
  {
    version: 1,
    name: 'participant',
    sql: `
      CREATE TABLE memberships (
        federation TEXT PRIMARY KEY, manifest BLOB NOT NULL,
        consent TEXT NOT NULL, pairs_file TEXT NOT NULL, pairs_sha256 TEXT NOT NULL, pairs INTEGER NOT NULL,
        model TEXT, addresses TEXT NOT NULL, invite BLOB, status TEXT NOT NULL, joined_at INTEGER NOT NULL,
        bytes_sent INTEGER NOT NULL DEFAULT 0, bytes_received INTEGER NOT NULL DEFAULT 0, standing TEXT
      ) STRICT;
      CREATE TABLE updates (
        federation TEXT NOT NULL, round INTEGER NOT NULL, factor TEXT NOT NULL, parent TEXT NOT NULL,
        blob TEXT NOT NULL, bytes INTEGER NOT NULL, status TEXT NOT NULL, code TEXT,
        PRIMARY KEY (federation, round)
      ) STRICT;
      CREATE TABLE offers (
        federation TEXT NOT NULL, round INTEGER NOT NULL, envelope TEXT NOT NULL,
        PRIMARY KEY (federation, envelope)
      ) STRICT;
      CREATE TABLE receipts (
        federation TEXT NOT NULL, round INTEGER NOT NULL, envelope BLOB NOT NULL,
        PRIMARY KEY (federation, round)
      ) STRICT;
    `,
  },
  {
    version: 2,
    name: 'log',
    sql: `
      CREATE TABLE checkpoints (federation TEXT PRIMARY KEY, note TEXT NOT NULL) STRICT;
      CREATE TABLE forks (federation TEXT NOT NULL, known TEXT, found TEXT, UNIQUE (federation, known, found)) STRICT;
    `,
  },
  {
    version: 3,
    name: 'acknowledgements',
    sql: `
      ALTER TABLE offers ADD COLUMN message BLOB;
      ALTER TABLE offers ADD COLUMN acknowledgement BLOB;
    `,
  },
  {
    version: 4,
    name: 'revocations',
    sql: REVOCATION_TABLE,
  },
];

/** `leaving`: the person has left, and the aggregator has not been told yet. */
export type MembershipStatus = 'active' | 'paused' | 'leaving' | 'left';

export interface Membership {
  readonly federation: OpenedManifest;
  /** Hash of the manifest that the person consented to. */
  readonly consent: Sha256;
  readonly pairs: { readonly file: string; readonly sha256: Sha256; readonly count: number };
  /** The base model where it is not the one that the manifest's name leads to. */
  readonly model: string | null;
  /** Multiaddrs to enter the network by. */
  readonly addresses: readonly string[];
  readonly invite: Uint8Array | null;
  readonly status: MembershipStatus;
  readonly joinedAt: number;
  readonly bytesSent: number;
  readonly bytesReceived: number;
  readonly standing: Standing | null;
}

/** Where the federation stood when its aggregator was last heard. */
export interface Standing {
  readonly round: RoundNumber;
  readonly phase: string;
  readonly aggregator: string;
  /** Milliseconds since 1970. */
  readonly heardAt: number;
  /** What has kept this node from going on since then; absent while nothing does. */
  readonly trouble?: Trouble;
}

export interface Trouble {
  readonly code: ErrorCode;
  readonly problem: string;
  readonly fix: string;
  /** Milliseconds since 1970. */
  readonly since: number;
}

/** `made`: on disk and not acknowledged yet. */
export interface OwnUpdate {
  readonly round: RoundNumber;
  readonly factor: Factor;
  readonly parent: Sha256;
  readonly blob: Sha256;
  readonly bytes: number;
  readonly status: 'made' | 'accepted' | 'refused';
  readonly code: ErrorCode | null;
}

/** An aggregator's acknowledgement as it travelled, and the hash of the message that it answers. */
export interface UpdateAnswer {
  readonly offer: Sha256;
  readonly acknowledgement: Uint8Array;
}

export interface AcknowledgedOffer {
  readonly round: RoundNumber;
  readonly message: Uint8Array;
  readonly acknowledgement: Uint8Array;
}

interface MembershipRow {
  federation: Sha256;
  manifest: Uint8Array;
  consent: Sha256;
  pairs_file: string;
  pairs_sha256: Sha256;
  pairs: number;
  model: string | null;
  addresses: string;
  invite: Uint8Array | null;
  status: MembershipStatus;
  joined_at: number;
  bytes_sent: number;
  bytes_received: number;
  standing: string | null;
}

export class ParticipantStore implements Disposable {
  readonly #database: Sql;
  /** Manifests that were read: what goes by a hash never changes. */
  readonly #manifests = new Map<Sha256, OpenedManifest>();

  /** @param database one with the tables of `PARTICIPANT_MIGRATIONS` */
  constructor(database: Sql) {
    this.#database = database;
  }

  /** @throws DATABASE_CORRUPT, DATABASE_NEWER, DISK_FULL, STORAGE_FAILED */
  static open(file: string, { readOnly = false }: { readonly readOnly?: boolean } = {}): ParticipantStore {
    return new ParticipantStore(Database.open(file, { migrations: PARTICIPANT_MIGRATIONS, readOnly }));
  }

  memberships(): Membership[] {
    return this.#database
      .all<MembershipRow>('SELECT * FROM memberships ORDER BY joined_at')
      .map((row) => this.#membershipOf(row));
  }

  membership(federation: Sha256): Membership | undefined {
    const row = this.#database.get<MembershipRow>('SELECT * FROM memberships WHERE federation = ?', federation);
    return row && this.#membershipOf(row);
  }

  /** What the person wants of the federation; it may be said by another process at any time. */
  status(federation: Sha256): MembershipStatus | undefined {
    return this.#database.get<{ status: MembershipStatus }>(
      'SELECT status FROM memberships WHERE federation = ?',
      federation,
    )?.status;
  }

  /** Joins, or joins again: with other pairs, another invite, or after leaving. What was done in its rounds stays. */
  join(membership: Omit<Membership, 'status' | 'bytesSent' | 'bytesReceived' | 'standing'>): void {
    const { federation, consent, pairs, model, addresses, invite, joinedAt } = membership;
    this.#database.run(
      `INSERT INTO memberships (federation, manifest, consent, pairs_file, pairs_sha256, pairs, model, addresses,
         invite, status, joined_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, 'active', ?)
       ON CONFLICT (federation) DO UPDATE SET consent = excluded.consent, pairs_file = excluded.pairs_file,
         pairs_sha256 = excluded.pairs_sha256, pairs = excluded.pairs, model = excluded.model,
         addresses = excluded.addresses, invite = coalesce(excluded.invite, invite), status = 'active'`,
      federation.hash,
      federation.bytes,
      consent,
      pairs.file,
      pairs.sha256,
      pairs.count,
      model,
      JSON.stringify(addresses),
      invite,
      joinedAt,
    );
  }

  setStatus(federation: Sha256, status: MembershipStatus): void {
    this.#database.run('UPDATE memberships SET status = ? WHERE federation = ?', status, federation);
  }

  setStanding(federation: Sha256, standing: Standing): void {
    this.#database.run(
      'UPDATE memberships SET standing = ? WHERE federation = ?',
      JSON.stringify(standing),
      federation,
    );
  }

  /** Notes what keeps this node from going on, for `node status`; the next `setStanding` says that it goes on. */
  setTrouble(federation: Sha256, trouble: Trouble): void {
    const standing = this.membership(federation)?.standing;
    if (standing) this.setStanding(federation, { ...standing, trouble });
  }

  countBytes(federation: Sha256, sent: number, received: number): void {
    this.#database.run(
      'UPDATE memberships SET bytes_sent = bytes_sent + ?, bytes_received = bytes_received + ? WHERE federation = ?',
      sent,
      received,
      federation,
    );
  }

  update(federation: Sha256, round: RoundNumber): OwnUpdate | undefined {
    return this.#database.get<OwnUpdate>(
      `SELECT round, factor, parent, blob, bytes, status, code FROM updates WHERE federation = ? AND round = ?`,
      federation,
      round,
    );
  }

  updates(federation: Sha256): OwnUpdate[] {
    return this.#database.all<OwnUpdate>(
      `SELECT round, factor, parent, blob, bytes, status, code FROM updates WHERE federation = ? ORDER BY round`,
      federation,
    );
  }

  /** Binds this node to one update for the round. A second one for the same round is a fault and throws. */
  recordUpdate(federation: Sha256, { round, factor, parent, blob, bytes }: Omit<OwnUpdate, 'status' | 'code'>): void {
    this.#database.run(
      `INSERT INTO updates (federation, round, factor, parent, blob, bytes, status) VALUES (?, ?, ?, ?, ?, ?, 'made')`,
      federation,
      round,
      factor,
      parent,
      blob,
      bytes,
    );
  }

  /** Remembers a message that offers the round's update, before it is sent. */
  recordOffer(federation: Sha256, round: RoundNumber, { hash, bytes }: SealedEnvelope): void {
    this.#database.run(
      'INSERT INTO offers (federation, round, envelope, message) VALUES (?, ?, ?, ?)',
      federation,
      round,
      hash,
      bytes,
    );
  }

  /** The messages that offered a round's update, oldest first. */
  offers(federation: Sha256, round: RoundNumber): Sha256[] {
    return this.#database
      .all<{
        envelope: Sha256;
      }>('SELECT envelope FROM offers WHERE federation = ? AND round = ? ORDER BY rowid', federation, round)
      .map(({ envelope }) => envelope);
  }

  /**
   * What has become of a round's update. With `answer`, the aggregator's acknowledgement is kept beside the message
   * that it answers: the two are a proof for others.
   */
  answerUpdate(federation: Sha256, round: RoundNumber, code: ErrorCode | null, answer?: UpdateAnswer): void {
    this.#database.transaction(() => {
      this.#database.run(
        'UPDATE updates SET status = ?, code = ? WHERE federation = ? AND round = ?',
        code === null ? 'accepted' : 'refused',
        code,
        federation,
        round,
      );
      if (answer === undefined) return;
      this.#database.run(
        'UPDATE offers SET acknowledgement = ? WHERE federation = ? AND envelope = ?',
        answer.acknowledgement,
        federation,
        answer.offer,
      );
    });
  }

  /** The messages that were acknowledged, each with its answer, both as they travelled; by round. */
  acknowledged(federation: Sha256): AcknowledgedOffer[] {
    return this.#database.all<{ round: RoundNumber; message: Uint8Array; acknowledgement: Uint8Array }>(
      `SELECT round, message, acknowledgement FROM offers
       WHERE federation = ? AND message IS NOT NULL AND acknowledgement IS NOT NULL ORDER BY round, rowid`,
      federation,
    );
  }

  /** The verified receipt of the latest round, or null before the first. */
  lastReceipt(federation: Sha256): OpenedReceipt | null {
    const row = this.#database.get<{ envelope: Uint8Array }>(
      'SELECT envelope FROM receipts WHERE federation = ? ORDER BY round DESC LIMIT 1',
      federation,
    );
    return row ? openReceipt(row.envelope) : null;
  }

  /** Stores a receipt that was verified, and whose adapter is adopted. */
  recordReceipt(federation: Sha256, { content, bytes }: OpenedReceipt): void {
    this.#database.run(
      'INSERT OR IGNORE INTO receipts (federation, round, envelope) VALUES (?, ?, ?)',
      federation,
      content.round,
      bytes,
    );
  }

  /** The envelopes of the verified receipts from a round on, in their order. */
  receiptsFrom(federation: Sha256, round: number): Uint8Array[] {
    return this.#database
      .all<{
        envelope: Uint8Array;
      }>('SELECT envelope FROM receipts WHERE federation = ? AND round >= ? ORDER BY round', federation, round)
      .map(({ envelope }) => envelope);
  }

  /** The longest checkpoint of the federation's log that was seen and agreed with the receipts here; a signed note. */
  checkpoint(federation: Sha256): string | null {
    const row = this.#database.get<{ note: string }>('SELECT note FROM checkpoints WHERE federation = ?', federation);
    return row?.note ?? null;
  }

  recordCheckpoint(federation: Sha256, note: string): void {
    this.#database.run('INSERT OR REPLACE INTO checkpoints (federation, note) VALUES (?, ?)', federation, note);
  }

  /** Keeps two signed notes that cannot both be true; null where there was none. */
  recordFork(federation: Sha256, known: string | null, found: string | null): void {
    this.#database.run(
      'INSERT OR IGNORE INTO forks (federation, known, found) VALUES (?, ?, ?)',
      federation,
      known,
      found,
    );
  }

  forks(federation: Sha256): { readonly known: string | null; readonly found: string | null }[] {
    if (!this.#hasTable('forks')) return [];
    return this.#database
      .all<{
        known: string | null;
        found: string | null;
      }>('SELECT known, found FROM forks WHERE federation = ?', federation)
      .map(({ known, found }) => ({ known, found }));
  }

  /** A list of revocations by its hash, or the newest; its envelope. */
  revocations(federation: Sha256, list?: Sha256): Uint8Array | null {
    if (!this.#hasTable('revocations')) return null;
    return storedRevocations(this.#database, federation, list) ?? null;
  }

  recordRevocations(federation: Sha256, list: OpenedRevocations): void {
    storeRevocations(this.#database, federation, list);
  }

  close(): void {
    this.#database.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }

  /** A folder that is only looked at may be of before there was such a table. */
  #hasTable(name: string): boolean {
    return this.#database.get("SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = ?", name) !== undefined;
  }

  #membershipOf(row: MembershipRow): Membership {
    const { federation: hash } = row;
    const federation = this.#manifests.get(hash) ?? openManifest(row.manifest, hash);
    this.#manifests.set(hash, federation);
    return {
      federation,
      consent: row.consent,
      pairs: { file: row.pairs_file, sha256: row.pairs_sha256, count: row.pairs },
      model: row.model,
      addresses: JSON.parse(row.addresses) as string[],
      invite: row.invite,
      status: row.status,
      joinedAt: row.joined_at,
      bytesSent: row.bytes_sent,
      bytesReceived: row.bytes_received,
      standing: row.standing === null ? null : (JSON.parse(row.standing) as Standing),
    };
  }
}
