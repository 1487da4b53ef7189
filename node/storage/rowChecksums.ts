/**
 * A checksum for every row, so that a flipped bit in a database file is noticed.
 *
 * SQLite's integrity check sees damage to the structure of a file, and not to the values in it: another digit in a
 * stored state is a valid row. Temporary triggers of the connection, which are not in the file, write the checksum of
 * each row that is written into a table of their own; when the file is opened, every row is held against its checksum.
 * The schema is one more row. `user_version` in the file's header says that the checksums are there.
 */
import { createHash } from 'node:crypto';
import type { DatabaseSync, SQLOutputValue } from 'node:sqlite';

const CHECKSUMS = 'row_checksums';
const SCHEMA = 'sqlite_schema';
/** `user_version` of a file that has checksums. */
const VERSION = 1;
/** Hex digits of the SHA-256 that are kept: an accident is to be noticed, not a forger. */
const DIGITS = 16;

/** Teaches a connection the function that the statements below call. */
export function prepareChecksums(connection: DatabaseSync): void {
  const options = { varargs: true, deterministic: true, useBigIntArguments: true } as const;
  connection.function('row_checksum', options, rowChecksum);
}

/** Whether the file has checksums; one from before there were any has none. */
export function hasChecksums(connection: DatabaseSync): boolean {
  return Number(connection.prepare('PRAGMA user_version').get()?.user_version) !== 0;
}

/** What is wrong with the values in a file that has checksums, or undefined. */
export function findDamage(connection: DatabaseSync): string | undefined {
  const table = connection.prepare('SELECT 1 FROM sqlite_schema WHERE name = ?').get(CHECKSUMS);
  const version = Number(connection.prepare('PRAGMA user_version').get()?.user_version);
  if (version !== (table ? VERSION : 0)) return `its header says ${version}, which is not so`;
  if (!table) return undefined;
  const schema = connection.prepare(`SELECT checksum FROM ${CHECKSUMS} WHERE name = ?`).get(SCHEMA);
  if (schema?.checksum !== schemaChecksum(connection)) return 'the schema has another checksum';
  let rows = 1;
  for (const name of tablesOf(connection)) {
    const wrong = connection
      .prepare(
        `SELECT t.rowid AS row FROM ${name} AS t LEFT JOIN ${CHECKSUMS} AS c ON c.name = '${name}' AND c.row = t.rowid
         WHERE c.checksum IS NOT row_checksum(${columnsOf(connection, name, 't.')}) LIMIT 1`,
      )
      .get();
    if (wrong) return `row ${String(wrong.row)} of ${name} has another checksum`;
    rows += Number(connection.prepare(`SELECT count(*) AS rows FROM ${name}`).get()?.rows);
  }
  const known = Number(connection.prepare(`SELECT count(*) AS rows FROM ${CHECKSUMS}`).get()?.rows);
  return known === rows ? undefined : `it has ${rows} rows and checksums of ${known}`;
}

/** Writes the checksums of all rows anew: when a file gets them, and after its schema was changed. */
export function writeChecksums(connection: DatabaseSync): void {
  connection.exec(
    `CREATE TABLE IF NOT EXISTS ${CHECKSUMS} (
       name TEXT NOT NULL, row INTEGER NOT NULL, checksum TEXT NOT NULL, PRIMARY KEY (name, row)
     ) STRICT, WITHOUT ROWID;
     DELETE FROM ${CHECKSUMS};
     PRAGMA user_version = ${VERSION}`,
  );
  for (const name of tablesOf(connection)) {
    connection.exec(
      `INSERT INTO ${CHECKSUMS} SELECT '${name}', rowid, row_checksum(${columnsOf(connection, name)}) FROM ${name}`,
    );
  }
  connection.prepare(`INSERT INTO ${CHECKSUMS} VALUES (?, 0, ?)`).run(SCHEMA, schemaChecksum(connection));
}

/** From now on, what this connection writes gets its checksums in the same transaction. */
export function keepChecksums(connection: DatabaseSync): void {
  const triggers = tablesOf(connection).flatMap((name) => {
    const forget = `DELETE FROM ${CHECKSUMS} WHERE name = '${name}' AND row = old.rowid;`;
    const note = `INSERT OR REPLACE INTO ${CHECKSUMS} VALUES
      ('${name}', new.rowid, row_checksum(${columnsOf(connection, name, 'new.')}));`;
    return [
      `CREATE TEMP TRIGGER ${name}_inserted AFTER INSERT ON main.${name} BEGIN ${note} END;`,
      `CREATE TEMP TRIGGER ${name}_updated AFTER UPDATE ON main.${name} BEGIN ${forget} ${note} END;`,
      `CREATE TEMP TRIGGER ${name}_deleted AFTER DELETE ON main.${name} BEGIN ${forget} END;`,
    ];
  });
  // Without recursive triggers, INSERT OR REPLACE would not tell of the row that it replaces.
  connection.exec(`PRAGMA temp_store = MEMORY; PRAGMA recursive_triggers = ON; ${triggers.join('\n')}`);
}

function tablesOf(connection: DatabaseSync): string[] {
  const rows = connection
    .prepare(`SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT GLOB 'sqlite_*' AND name <> ?`)
    .all(CHECKSUMS);
  return rows.map(({ name }) => String(name));
}

function columnsOf(connection: DatabaseSync, table: string, prefix = ''): string {
  const columns = connection.prepare('SELECT name FROM pragma_table_info(?)').all(table);
  return columns.map(({ name }) => `${prefix}"${String(name)}"`).join(', ');
}

function schemaChecksum(connection: DatabaseSync): string {
  const rows = connection.prepare('SELECT type, name, tbl_name, sql FROM sqlite_schema ORDER BY type, name').all();
  return rowChecksum(...rows.flatMap((row) => Object.values(row)));
}

/** Over the type, the length and the bytes of each value. */
function rowChecksum(...values: SQLOutputValue[]): string {
  const digest = createHash('sha256');
  for (const value of values) {
    const bytes = value instanceof Uint8Array ? value : Buffer.from(String(value));
    digest.update(`${value === null ? 'null' : typeof value} ${bytes.length} `).update(bytes);
  }
  return digest.digest('hex').slice(0, DIGITS);
}
