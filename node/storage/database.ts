/**
 * SQLite behind a small interface: a file that is checked when opened, down to the values of its rows, moved forward
 * by numbered migrations, and durable at every commit (write-ahead log, synchronous = FULL).
 *
 * A damaged file is named and refused; it is never deleted, repaired or replaced here.
 */
import { closeSync, existsSync, openSync } from 'node:fs';
import { DatabaseSync, type SQLInputValue, type StatementSync } from 'node:sqlite';
import { LIMITS } from '../../protocol/limits.ts';
import { PrefmeshError } from '../../protocol/errors.ts';
import { findDamage, hasChecksums, keepChecksums, prepareChecksums, writeChecksums } from './rowChecksums.ts';
import { findLogDamage } from './writeAheadLog.ts';

/** One step of a schema. `version` counts from 1 without gaps; a released step is never edited. */
export interface Migration {
  readonly version: number;
  readonly name: string;
  readonly sql: string;
}

export interface DatabaseOptions {
  readonly migrations: readonly Migration[];
  /** For looking into the state of a running process: no migration, no write. */
  readonly readOnly?: boolean;
}

export type SqlValue = SQLInputValue;

/** Result codes of SQLite (https://sqlite.org/rescode.html), the low byte of an extended code. */
const SQLITE = {
  error: 1,
  permission: 3,
  busy: 5,
  readOnly: 8,
  inputOutput: 10,
  corrupt: 11,
  full: 13,
  cannotOpen: 14,
  notADatabase: 26,
} as const;

/** SQLite's name for a database without a file. */
const MEMORY = ':memory:';

/** What a store asks of its database: `Database` in a node, and whatever keeps the same promises. */
export type Sql = Pick<Database, 'get' | 'all' | 'run' | 'transaction' | 'close'>;

export class Database {
  readonly file: string;
  readonly #connection: DatabaseSync;
  readonly #statements = new Map<string, StatementSync>();
  #inTransaction = false;

  private constructor(file: string, connection: DatabaseSync) {
    this.file = file;
    this.#connection = connection;
  }

  /** @throws DATABASE_CORRUPT, DATABASE_NEWER, DISK_FULL, STORAGE_FAILED */
  static open(file: string, { migrations, readOnly = false }: DatabaseOptions): Database {
    return naming(file, () => {
      if (!readOnly && !existsSync(file)) closeSync(openSync(file, 'a', 0o600)); // its -wal and -shm take the same mode
      if (!readOnly) refuse(file, findLogDamage(`${file}-wal`)); // before SQLite forgets the rest of it
      const connection = new DatabaseSync(file, { readOnly, timeout: LIMITS.databaseBusyWait.value });
      try {
        connection.exec('PRAGMA foreign_keys = ON');
        if (!readOnly) connection.exec('PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL');
        prepareChecksums(connection);
        checkIntegrity(file, connection);
        const database = new Database(file, connection);
        database.#migrate(migrations, readOnly);
        if (!readOnly) keepChecksums(connection);
        return database;
      } catch (error) {
        connection.close();
        throw error;
      }
    });
  }

  /** A database that lives as long as its object, for what takes the place of a disk. */
  static inMemory(migrations: readonly Migration[]): Database {
    const database = new Database(MEMORY, new DatabaseSync(MEMORY));
    database.#migrate(migrations, false);
    return database;
  }

  /** The first row, or undefined. */
  get<Row>(sql: string, ...values: SqlValue[]): Row | undefined {
    return naming(this.file, () => this.#prepare(sql).get(...values) as Row | undefined);
  }

  all<Row>(sql: string, ...values: SqlValue[]): Row[] {
    return naming(this.file, () => this.#prepare(sql).all(...values) as Row[]);
  }

  /** Runs a statement that returns no rows. Outside `transaction` it is durable when this returns. */
  run(sql: string, ...values: SqlValue[]): { changes: number; lastRowId: number } {
    const result = naming(this.file, () => this.#prepare(sql).run(...values));
    return { changes: Number(result.changes), lastRowId: Number(result.lastInsertRowid) };
  }

  /**
   * Does all of `work` or none of it; durable when this returns. `work` is synchronous: a transaction never spans
   * an await, so that no other task's statements can fall into it.
   */
  transaction<T>(work: () => T): T {
    if (this.#inTransaction) throw new Error('a transaction is already open');
    return naming(this.file, () => {
      this.#connection.exec('BEGIN IMMEDIATE');
      this.#inTransaction = true;
      try {
        const result = work();
        if (result instanceof Promise) throw new TypeError('the work of a transaction must be synchronous');
        this.#connection.exec('COMMIT');
        return result;
      } catch (error) {
        if (this.#connection.isTransaction) this.#connection.exec('ROLLBACK');
        throw error;
      } finally {
        this.#inTransaction = false;
      }
    });
  }

  close(): void {
    if (this.#connection.isOpen) this.#connection.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }

  #prepare(sql: string): StatementSync {
    let statement = this.#statements.get(sql);
    if (statement === undefined) {
      statement = this.#connection.prepare(sql);
      this.#statements.set(sql, statement);
    }
    return statement;
  }

  #migrate(migrations: readonly Migration[], readOnly: boolean): void {
    migrations.forEach((migration, index) => {
      if (migration.version !== index + 1) throw new Error(`migration ${migration.name} is out of order`);
    });
    const known = migrations.length;
    const found = this.#schemaVersion();
    if (found > known) throw new PrefmeshError('DATABASE_NEWER', { file: this.file, found, known });
    const summed = this.file === MEMORY || hasChecksums(this.#connection);
    if (readOnly || (found === known && summed)) return;
    this.transaction(() => {
      this.#connection.exec(
        'CREATE TABLE IF NOT EXISTS migrations (version INTEGER PRIMARY KEY, name TEXT NOT NULL) STRICT',
      );
      for (const { version, name, sql } of migrations.slice(found)) {
        this.#connection.exec(sql);
        this.run('INSERT INTO migrations (version, name) VALUES (?, ?)', version, name);
      }
      if (this.file !== MEMORY) writeChecksums(this.#connection);
    });
  }

  #schemaVersion(): number {
    const table = this.get("SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = 'migrations'");
    if (table === undefined) return 0;
    return this.get<{ version: number }>('SELECT coalesce(max(version), 0) AS version FROM migrations')?.version ?? 0;
  }
}

function checkIntegrity(file: string, connection: DatabaseSync): void {
  try {
    const rows = connection.prepare('PRAGMA integrity_check(1)').all();
    const verdict = String(rows[0]?.integrity_check ?? 'no answer');
    refuse(file, verdict === 'ok' ? findDamage(connection) : verdict);
  } catch (error) {
    // A schema that was damaged lacks what the statements of the check name.
    if (error instanceof Error && 'errcode' in error && Number(error.errcode) === SQLITE.error) {
      throw new PrefmeshError('DATABASE_CORRUPT', { file, problem: error.message }, { cause: error });
    }
    throw error;
  }
}

function refuse(file: string, problem: string | undefined): void {
  if (problem !== undefined) throw new PrefmeshError('DATABASE_CORRUPT', { file, problem });
}

/** Turns SQLite's result codes for a bad file or disk into the table's errors; everything else passes unchanged. */
function naming<T>(file: string, work: () => T): T {
  try {
    return work();
  } catch (error) {
    if (!(error instanceof Error) || !('errcode' in error)) throw error;
    const problem = error.message;
    switch (Number(error.errcode) & 0xff) {
      case SQLITE.corrupt:
      case SQLITE.notADatabase:
        throw new PrefmeshError('DATABASE_CORRUPT', { file, problem }, { cause: error });
      case SQLITE.full:
        throw new PrefmeshError('DISK_FULL', { file, problem }, { cause: error });
      case SQLITE.permission:
      case SQLITE.busy:
      case SQLITE.readOnly:
      case SQLITE.inputOutput:
      case SQLITE.cannotOpen:
        throw new PrefmeshError('STORAGE_FAILED', { file, problem }, { cause: error });
      default:
        throw error; // a mistake in the statement or a constraint: the caller's to know
    }
  }
}
