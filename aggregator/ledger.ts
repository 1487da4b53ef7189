/**
 * The aggregator's ledger: everything that must survive a crash, in one SQLite file.
 *
 * A state of the round machine is committed together with what belongs to it (the envelope of the update that it
 * accepted, the invite that was used, the numbers of the messages that were taken), so that after any crash the
 * ledger shows one moment of the protocol and not a mixture of two.
 */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { Database } from '../node/storage/database.ts';
import type { Migration, Sql } from '../node/storage/database.ts';
import { REVOCATION_TABLE, storedRevocations, storeRevocations } from '../node/storage/revocationTable.ts';
import type { DataPaths } from '../node/storage/dataFolder.ts';
import { PrefmeshError } from '../protocol/errors.ts';
import type { ErrorCode } from '../protocol/errors.ts';
import type { ParticipantId } from '../protocol/identity.ts';
import type { OpenedManifest } from '../protocol/manifest.ts';
import type { RoundNumber, Sha256 } from '../protocol/names.ts';
import type { OpenedReceipt } from '../protocol/receipt.ts';
import { ReplayWindow } from '../protocol/replay.ts';
import type { ReplayTable, SenderWindow } from '../protocol/replay.ts';
import type { OpenedRevocations } from '../protocol/revocations.ts';
import type { FederationState } from '../protocol/roundState.ts';
import { stateText } from './stateText.ts';

/** The schema. */
export const LEDGER_MIGRATIONS: readonly Migration[] = [
  {
    version: 1,
    name: 'aggregator',
    sql: `
      CREATE TABLE federation (id TEXT PRIMARY KEY, manifest BLOB NOT NULL, state TEXT NOT NULL) STRICT;
      CREATE TABLE receipts (
        federation TEXT NOT NULL, round INTEGER NOT NULL, hash TEXT NOT NULL, envelope BLOB NOT NULL,
        PRIMARY KEY (federation, round)
      ) STRICT;
      CREATE TABLE updates (
        federation TEXT NOT NULL, envelope_hash TEXT NOT NULL, round INTEGER NOT NULL, sender TEXT NOT NULL,
        blob TEXT NOT NULL, code TEXT, envelope BLOB NOT NULL,
        PRIMARY KEY (federation, envelope_hash)
      ) STRICT;
      CREATE TABLE invites (
        federation TEXT NOT NULL, serial TEXT NOT NULL, participant TEXT NOT NULL, inviter TEXT NOT NULL,
        PRIMARY KEY (federation, serial)
      ) STRICT;
      CREATE TABLE senders (federation TEXT NOT NULL, sender TEXT NOT NULL, window TEXT NOT NULL,
        PRIMARY KEY (federation, sender)) STRICT;
      CREATE TABLE figures (
        federation TEXT NOT NULL, adapter TEXT NOT NULL, pair_set TEXT NOT NULL, figures TEXT NOT NULL,
        PRIMARY KEY (federation, adapter, pair_set)
      ) STRICT;
    `,
  },
  {
    version: 2,
    name: 'cosignatures',
    sql: `
      CREATE TABLE cosigned (
        federation TEXT NOT NULL, size INTEGER NOT NULL, note TEXT NOT NULL, PRIMARY KEY (federation, size)
      ) STRICT;
    `,
  },
  {
    version: 3,
    name: 'revocations',
    sql: REVOCATION_TABLE,
  },
];

/** Where the ledger lies in a data folder. */
export function ledgerFile({ root }: DataPaths): string {
  return join(root, 'aggregator.sqlite');
}

/** The update message behind an accepted or refused update; `code` is null for an accepted one. */
export interface UpdateRow {
  readonly round: RoundNumber;
  readonly sender: ParticipantId;
  readonly envelopeHash: Sha256;
  readonly envelope: Uint8Array;
  readonly blob: Sha256;
  readonly code: ErrorCode | null;
}

/** What is committed together with a new state. */
export interface Commitment {
  /** Whose message brought it about. */
  readonly sender?: ParticipantId | undefined;
  readonly update?: UpdateRow;
  readonly invite?: UsedInvite;
  readonly revocations?: OpenedRevocations;
}

/** Who was let in by which invite, of whom. */
export interface UsedInvite {
  readonly serial: string;
  readonly participant: ParticipantId;
  readonly inviter: ParticipantId;
}

/** Whose guest each member is, for ever: who signed the first invite that it used. */
export function invitersOf(oldestFirst: readonly UsedInvite[]): Map<ParticipantId, ParticipantId> {
  return new Map(oldestFirst.toReversed().map(({ participant, inviter }) => [participant, inviter]));
}

/** The ledger of one federation. */
export class Ledger implements Disposable {
  readonly #database: Sql;
  readonly #federation: Sha256;
  readonly #replay: ReplayWindow;

  private constructor(database: Sql, federation: Sha256) {
    this.#database = database;
    this.#federation = federation;
    const rows = database.all<{ sender: ParticipantId; window: string }>(
      'SELECT sender, window FROM senders WHERE federation = ?',
      federation,
    );
    this.#replay = new ReplayWindow(rows.map(({ sender, window }) => [sender, JSON.parse(window) as SenderWindow]));
  }

  /**
   * Opens the ledger of a federation, and begins it in `initial` when there is none yet.
   * Throws DATABASE_CORRUPT, DATABASE_NEWER, DISK_FULL, STORAGE_FAILED.
   */
  static open(file: string, manifest: OpenedManifest, initial: () => FederationState): Ledger {
    return Ledger.over(Database.open(file, { migrations: LEDGER_MIGRATIONS }), manifest, initial);
  }

  /** The same over a database that has the tables of `LEDGER_MIGRATIONS`. */
  static over(database: Sql, { hash, bytes }: OpenedManifest, initial: () => FederationState): Ledger {
    const known = database.get('SELECT 1 FROM federation WHERE id = ?', hash);
    if (known === undefined) {
      const state = stateText(initial());
      database.run('INSERT INTO federation (id, manifest, state) VALUES (?, ?, ?)', hash, bytes, state);
    }
    return new Ledger(database, hash);
  }

  /** Opens the ledger of a federation for looking into it. Throws FEDERATION_UNKNOWN, DATABASE_CORRUPT. */
  static read(file: string, { hash }: OpenedManifest): Ledger {
    if (!existsSync(file)) throw new PrefmeshError('FEDERATION_UNKNOWN', { federation: hash });
    const database = Database.open(file, { migrations: LEDGER_MIGRATIONS, readOnly: true });
    if (database.get('SELECT 1 FROM federation WHERE id = ?', hash) === undefined) {
      database.close();
      throw new PrefmeshError('FEDERATION_UNKNOWN', { federation: hash });
    }
    return new Ledger(database, hash);
  }

  get state(): FederationState {
    const row = this.#database.get<{ state: string }>('SELECT state FROM federation WHERE id = ?', this.#federation);
    return JSON.parse(row!.state) as FederationState;
  }

  /**
   * The numbers of messages that were taken. Those of a sender are on disk from the `commit` on of what a message of
   * it brought about; a message that brought nothing about may be taken again after a crash, and does no more.
   */
  get replay(): ReplayTable {
    return this.#replay;
  }

  /** Makes a state durable, with what belongs to it. */
  commit(state: FederationState, { update, invite, revocations, sender }: Commitment = {}): void {
    this.#database.transaction(() => {
      this.#database.run('UPDATE federation SET state = ? WHERE id = ?', stateText(state), this.#federation);
      if (update) this.#writeUpdate(update);
      if (invite) this.#writeInvite(invite);
      if (revocations) storeRevocations(this.#database, this.#federation, revocations);
      const window = sender && this.#replay.windowOf(sender);
      if (window === undefined) return;
      this.#database.run(
        'INSERT OR REPLACE INTO senders (federation, sender, window) VALUES (?, ?, ?)',
        this.#federation,
        sender!,
        JSON.stringify(window),
      );
    });
  }

  /**
   * Takes a verified round of another aggregator's log: its receipt, the update messages that it lists, and the state
   * in which the federation is after it, at once.
   */
  adopt(state: FederationState, receipt: OpenedReceipt, messages: ReadonlyMap<Sha256, Uint8Array>): void {
    const { content, hash, bytes } = receipt;
    this.#database.transaction(() => {
      for (const { sender, envelope: envelopeHash, blob, code } of content.updates) {
        const envelope = messages.get(envelopeHash);
        if (envelope === undefined) continue;
        const row = { round: content.round, sender, envelopeHash, envelope, blob, code: code as ErrorCode | null };
        this.#writeUpdate(row);
      }
      this.storeReceipt(content.round, hash, bytes);
      this.#database.run('UPDATE federation SET state = ? WHERE id = ?', stateText(state), this.#federation);
    });
  }

  /** Who used an invite, if anybody did. */
  usedBy(serial: string): ParticipantId | undefined {
    return this.#database.get<{ participant: ParticipantId }>(
      'SELECT participant FROM invites WHERE federation = ? AND serial = ?',
      this.#federation,
      serial,
    )?.participant;
  }

  /** The invites that were used, oldest first. */
  usedInvites(): UsedInvite[] {
    return this.#database.all<UsedInvite & Record<string, string>>(
      'SELECT serial, participant, inviter FROM invites WHERE federation = ? ORDER BY rowid',
      this.#federation,
    );
  }

  /** Takes over what another aggregator knows of used invites. */
  storeInvites(invites: readonly UsedInvite[]): void {
    this.#database.transaction(() => {
      for (const invite of invites) this.#writeInvite(invite);
    });
  }

  /** Keeps a list that a copied receipt names; it is not the newest for that. */
  storeRevocations(list: OpenedRevocations): void {
    storeRevocations(this.#database, this.#federation, list);
  }

  /** A list of revocations by its hash, or the newest; its envelope. */
  revocations(hash?: Sha256): Uint8Array | undefined {
    return storedRevocations(this.#database, this.#federation, hash);
  }

  /** Stores a round's receipt; one that is there already stays. */
  storeReceipt(round: RoundNumber, hash: Sha256, envelope: Uint8Array): void {
    this.#database.run(
      'INSERT OR IGNORE INTO receipts (federation, round, hash, envelope) VALUES (?, ?, ?, ?)',
      this.#federation,
      round,
      hash,
      envelope,
    );
  }

  receipt(round: number): { readonly hash: Sha256; readonly envelope: Uint8Array } | undefined {
    return this.#database.get<{ hash: Sha256; envelope: Uint8Array }>(
      'SELECT hash, envelope FROM receipts WHERE federation = ? AND round = ?',
      this.#federation,
      round,
    );
  }

  /** The checkpoint of the first `size` receipts with the cosignatures that came for it; undefined before the first. */
  cosigned(size: number): string | undefined {
    return this.#database.get<{ note: string }>(
      'SELECT note FROM cosigned WHERE federation = ? AND size = ?',
      this.#federation,
      size,
    )?.note;
  }

  /** The cosigned checkpoints of at least `size` receipts, longest first. */
  cosignedFrom(size: number): string[] {
    return this.#database
      .all<{
        note: string;
      }>('SELECT note FROM cosigned WHERE federation = ? AND size >= ? ORDER BY size DESC', this.#federation, size)
      .map(({ note }) => note);
  }

  storeCosigned(size: number, note: string): void {
    this.#database.run(
      'INSERT OR REPLACE INTO cosigned (federation, size, note) VALUES (?, ?, ?)',
      this.#federation,
      size,
      note,
    );
  }

  /** The update messages of a round, by the hashes of their envelopes. */
  updateEnvelopes(round: number): Map<Sha256, Uint8Array> {
    const rows = this.#database.all<{ hash: Sha256; envelope: Uint8Array }>(
      'SELECT envelope_hash AS hash, envelope FROM updates WHERE federation = ? AND round = ?',
      this.#federation,
      round,
    );
    return new Map(rows.map(({ hash, envelope }) => [hash, envelope]));
  }

  /** Whose accepted update a blob is. */
  senderOf(blob: Sha256): ParticipantId | undefined {
    return this.#database.get<{ sender: ParticipantId }>(
      'SELECT sender FROM updates WHERE federation = ? AND blob = ? AND code IS NULL',
      this.#federation,
      blob,
    )?.sender;
  }

  /** What was measured of an adapter on a set of pairs before; the value is what `storeFigures` was given. */
  figures<Figures>(adapter: Sha256, pairSet: Sha256): Figures | undefined {
    const row = this.#database.get<{ figures: string }>(
      'SELECT figures FROM figures WHERE federation = ? AND adapter = ? AND pair_set = ?',
      this.#federation,
      adapter,
      pairSet,
    );
    return row && (JSON.parse(row.figures) as Figures);
  }

  storeFigures(adapter: Sha256, pairSet: Sha256, figures: object): void {
    this.#database.run(
      'INSERT OR REPLACE INTO figures (federation, adapter, pair_set, figures) VALUES (?, ?, ?, ?)',
      this.#federation,
      adapter,
      pairSet,
      JSON.stringify(figures),
    );
  }

  close(): void {
    this.#database.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }

  /** An invite that was used stays its first user's. */
  #writeInvite({ serial, participant, inviter }: UsedInvite): void {
    this.#database.run(
      'INSERT OR IGNORE INTO invites (federation, serial, participant, inviter) VALUES (?, ?, ?, ?)',
      this.#federation,
      serial,
      participant,
      inviter,
    );
  }

  #writeUpdate({ envelopeHash, round, sender, blob, code, envelope }: UpdateRow): void {
    this.#database.run(
      `INSERT OR IGNORE INTO updates (federation, envelope_hash, round, sender, blob, code, envelope)
       VALUES (?, ?, ?, ?, ?, ?, ?)`,
      this.#federation,
      envelopeHash,
      round,
      sender,
      blob,
      code,
      envelope,
    );
  }
}
