/**
 * Lists of revocations in a database: those of an aggregator's ledger and of a participant's store are kept alike.
 */
import type { Sha256 } from '../../protocol/names.ts';
import type { OpenedRevocations } from '../../protocol/revocations.ts';
import type { Sql } from './database.ts';

/** The schema, for a migration of the database that has the table. */
export const REVOCATION_TABLE = `
  CREATE TABLE revocations (
    federation TEXT NOT NULL, version INTEGER NOT NULL, hash TEXT NOT NULL, envelope BLOB NOT NULL,
    PRIMARY KEY (federation, version)
  ) STRICT;
`;

/** The envelope of a list by its hash, or of the newest; undefined where there is none. */
export function storedRevocations(database: Sql, federation: Sha256, hash?: Sha256): Uint8Array | undefined {
  const rows = database.all<{ hash: Sha256; envelope: Uint8Array }>(
    'SELECT hash, envelope FROM revocations WHERE federation = ? ORDER BY version DESC',
    federation,
  );
  return rows.find((row) => hash === undefined || row.hash === hash)?.envelope;
}

/** Stores a list; one of the same version that is there already stays. */
export function storeRevocations(
  database: Sql,
  federation: Sha256,
  { content: { version }, hash, bytes }: OpenedRevocations,
): void {
  database.run(
    'INSERT OR IGNORE INTO revocations (federation, version, hash, envelope) VALUES (?, ?, ?, ?)',
    federation,
    version,
    hash,
    bytes,
  );
}
